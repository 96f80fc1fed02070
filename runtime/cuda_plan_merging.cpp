// Kernels that follow each other become one where the later ones are short: a launch costs more than they do.

#include <fmt/format.h>

#include <unordered_set>

#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/merge_kernels.h"
#include "croton/graph/flags.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

namespace {

constexpr std::size_t most_kernels_in_one = 48;

}  // namespace

void PlanBuilder::merge_device_kernels() {
  // Who measures or looks for a failure wants to see every node by itself.
  if (request_.device == nullptr || request_.profile || config().gpu_sync()) return;
  const int multiprocessors = request_.device->info().multiprocessors;
  std::vector<Draft> drafts;
  std::vector<Kernel> kernels;
  std::vector<Draft> group;  // of the kernel at the end of `kernels`
  const auto finish_group = [&] {
    if (group.empty()) return;
    std::unordered_set<const Node*> nodes;
    std::vector<Pointer> pointers;
    for (Draft& draft : group) {
      nodes.insert(draft.step->node());
      pointers.insert(pointers.end(), draft.pointers.begin(), draft.pointers.end());
    }
    drafts.push_back({std::make_unique<CudaKernelStep>(group.front().step->node(), *request_.device,
                                                       kernels.size() - 1, nodes.size() - 1),
                      std::move(pointers)});
    group.clear();
  };
  for (Draft& draft : drafts_) {
    const auto* step = dynamic_cast<const CudaKernelStep*>(draft.step.get());
    if (step == nullptr) {
      finish_group();
      drafts.push_back(std::move(draft));
      continue;
    }
    Kernel kernel = std::move(device_kernels_[step->kernel_position]);
    const bool joins =
        !group.empty() && group.size() < most_kernels_in_one &&
        kernels.back().buffers.size() + kernel.buffers.size() <= LoadedCudaKernel::most_parameters &&
        joins_last_launch(kernels.back(), kernel, multiprocessors);
    if (joins) {
      Kernel both[] = {std::move(kernels.back()), std::move(kernel)};
      kernels.back() = merge_kernels(both, both[0].name);
    } else {
      finish_group();
      kernels.push_back(std::move(kernel));
    }
    group.push_back(std::move(draft));
  }
  finish_group();
  drafts_ = std::move(drafts);
  device_kernels_ = std::move(kernels);
}

}  // namespace croton
