// Kernels that follow each other become one where they work on the same rows, or where the later ones are
// short: a launch costs more than they do.

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/fuse_phases.h"
#include "croton/codegen/merge_kernels.h"
#include "croton/graph/flags.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

namespace {

constexpr std::size_t most_kernels_in_one = 48;

}  // namespace

/// Where a kernel's buffers lie.
std::vector<BufferPlace> PlanBuilder::buffer_places(std::span<const Pointer> pointers) const {
  constexpr std::int64_t elsewhere = std::int64_t{1} << 42;  // bytes: beyond every block
  std::vector<BufferPlace> places;
  for (const Pointer& pointer : pointers) {
    BufferPlace place{pointer.root, pointer.offset};
    for (std::int32_t parent; (parent = roots_[static_cast<std::size_t>(place.block)].parent) >= 0;) {
      // A view that is found at run time: somewhere in its block.
      if (place.offset < elsewhere) place.offset += elsewhere * (pointer.root + 1);
      place.block = parent;
    }
    places.push_back(place);
  }
  return places;
}

/// Moves a kernel over the elements that the one before has computed up to it, past a few that have nothing
/// to do with it: a gradient that is summed before it is handed on.
void PlanBuilder::bring_together_kernels() {
  constexpr std::size_t farthest = 4;
  struct Touched {
    std::set<std::int32_t> read, written;
  };
  const auto kernel_step = [&](std::size_t at) {
    return dynamic_cast<const CudaKernelStep*>(drafts_[at].step.get());
  };
  const auto touched = [&](std::size_t at) {
    const Kernel& kernel = device_kernels_[kernel_step(at)->kernel_position];
    const std::vector<BufferPlace> places = buffer_places(drafts_[at].pointers);
    Touched blocks;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const bool is_read = kernel.buffers[i].role == BufferInfo::Role::in;
      (is_read ? blocks.read : blocks.written).insert(places[i].block);
    }
    return blocks;
  };
  const auto meet = [](const std::set<std::int32_t>& a, const std::set<std::int32_t>& b) {
    return std::ranges::any_of(a, [&](std::int32_t block) { return b.contains(block); });
  };
  const auto elements = [](const std::vector<Phase>& phases, bool at_end) -> std::int64_t {
    if (phases.empty()) return -1;
    const Phase& phase = at_end ? phases.back() : phases.front();
    return phase.mark.kind == LoopKind::vectorize ? phase.extent : -1;
  };
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    if (kernel_step(at) == nullptr) continue;
    const std::int64_t computed = elements(device_kernels_[kernel_step(at)->kernel_position].phases, true);
    if (computed < 0) continue;
    const Touched own = touched(at);
    Touched between;
    for (std::size_t next = at + 1; next < drafts_.size() && next <= at + farthest; ++next) {
      const auto* step = kernel_step(next);
      if (step == nullptr || &step->device() != &kernel_step(at)->device()) break;
      if (device_kernels_[step->kernel_position].contraction != nullptr) break;
      const Touched other = touched(next);
      const bool follows = elements(device_kernels_[step->kernel_position].phases, false) == computed &&
                           meet(other.read, own.written);
      if (follows && !meet(other.read, between.written) && !meet(other.written, between.written) &&
          !meet(other.written, between.read)) {
        const auto first = drafts_.begin() + static_cast<std::ptrdiff_t>(at) + 1;
        std::rotate(first, drafts_.begin() + static_cast<std::ptrdiff_t>(next),
                    drafts_.begin() + static_cast<std::ptrdiff_t>(next) + 1);
        break;
      }
      between.read.insert(other.read.begin(), other.read.end());
      between.written.insert(other.written.begin(), other.written.end());
    }
  }
}

void PlanBuilder::merge_device_kernels() {
  // Who measures or looks for a failure wants to see every node by itself.
  if (devices_.empty() || request_.profile || config().gpu_sync()) return;
  bring_together_kernels();
  std::vector<Draft> drafts;
  std::vector<Kernel> kernels;
  std::vector<Draft> group;       // of the kernel at the end of `kernels`
  std::vector<Pointer> pointers;  // of the group
  CudaDevice* device = nullptr;   // of the group
  const auto finish_group = [&] {
    if (group.empty()) return;
    std::unordered_set<const Node*> nodes;
    for (const Draft& draft : group) nodes.insert(draft.step->node());
    drafts.push_back({std::make_unique<CudaKernelStep>(group.front().step->node(), *device,
                                                       kernels.size() - 1, nodes.size() - 1),
                      std::exchange(pointers, {})});
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
    if (group.empty() || group.size() == most_kernels_in_one || &step->device() != device ||
        kernels.back().buffers.size() + kernel.buffers.size() > LoadedCudaKernel::most_parameters) {
      finish_group();
    }
    device = &step->device();
    std::vector<Pointer> all = pointers;
    all.insert(all.end(), draft.pointers.begin(), draft.pointers.end());
    if (group.empty()) {
      kernels.push_back(std::move(kernel));
    } else {
      const bool joins = joins_last_launch(kernels.back(), kernel, device->info().multiprocessors);
      const std::size_t seam = kernels.back().phases.size();
      const bool has_rows = seam > 0 && !kernel.phases.empty() &&
                            kernels.back().phases.back().extent == kernel.phases.front().extent;
      Kernel both[] = {std::move(kernels.back()), std::move(kernel)};
      Kernel merged;
      if (joins || has_rows) merged = merge_kernels(both, both[0].name);
      const bool is_fused = has_rows && fuse_phases(merged, seam, buffer_places(all));
      if (is_fused || joins) {
        kernels.back() = std::move(merged);
      } else {
        kernels.back() = std::move(both[0]);
        finish_group();
        kernels.push_back(std::move(both[1]));
        all = draft.pointers;
      }
    }
    pointers = std::move(all);
    group.push_back(std::move(draft));
  }
  finish_group();
  drafts_ = std::move(drafts);
  device_kernels_ = std::move(kernels);
}

}  // namespace croton
