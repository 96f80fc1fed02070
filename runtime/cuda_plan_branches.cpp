// Steps on a device that may run side by side in a recorded graph, and what memory they need then.

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "croton/graph/flags.h"
#include "croton/runtime/operation_count.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

/// Whether a step writes at one of its pointers.
bool PlanBuilder::writes(const CudaStep& step, std::size_t pointer) const {
  if (const auto* kernel = dynamic_cast<const CudaKernelStep*>(&step))
    return device_kernels_[kernel->kernel_position].buffers[pointer].role != BufferInfo::Role::in;
  const bool is_call = dynamic_cast<const CudaLibraryCallStep*>(&step) != nullptr;
  return pointer >= (is_call ? step.node()->input_count() : 1);
}

/// In each stretch of steps that follow each other on a device, with checks between them that may be left
/// out.
void PlanBuilder::find_branches() {
  if (request_.profile || config().gpu_sync() || !config().gpu_graphs()) return;  // nothing is recorded
  const CudaDevice* device = nullptr;
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    const auto* step = dynamic_cast<const CudaStep*>(drafts_[at].step.get());
    if (step == nullptr) {
      const auto* check = dynamic_cast<const CudaFaultCheck*>(drafts_[at].step.get());
      if (check == nullptr || !check->has_fixed_sources()) device = nullptr;
      continue;
    }
    if (std::exchange(device, &step->device()) != &step->device()) stretches_.emplace_back();
    std::vector<CudaBranches::Access> accesses;
    for (std::size_t i = 0; i < drafts_[at].pointers.size(); ++i) {
      if (drafts_[at].pointers[i].root < 0) continue;
      const std::vector<BufferPlace> place = buffer_places(std::span(&drafts_[at].pointers[i], 1));
      accesses.push_back({place[0].block, writes(*step, i)});
    }
    stretches_.back().drafts.push_back(at);
    stretches_.back().accesses.push_back(std::move(accesses));
  }
  std::erase_if(stretches_, [](const StretchBranches& stretch) {
    return stretch.drafts.size() < CudaReplay::least_steps_of_branches;
  });
}

/// What two steps must not use at once beside memory of the plan: null, or something that stands for it. A
/// kernel counts its blocks in variables of its own, which every step with this kernel shares; a library may
/// keep what it likes behind its handle.
const void* PlanBuilder::exclusive_use(const CudaStep& step) {
  if (const auto* kernel = dynamic_cast<const CudaKernelStep*>(&step)) return kernel->kernel.get();
  const auto* call = dynamic_cast<const CudaLibraryCallStep*>(&step);
  return call != nullptr && call->is_exclusive() ? &step.device() : nullptr;
}

/// Behind compiling: the kernels are known.
void PlanBuilder::connect_branches() {
  std::unordered_map<const void*, std::int32_t> numbers;  // below those of memory
  for (StretchBranches& stretch : stretches_) {
    for (std::size_t i = 0; i < stretch.drafts.size(); ++i) {
      const auto& step = static_cast<const CudaStep&>(*drafts_[stretch.drafts[i]].step);
      if (const void* exclusive = exclusive_use(step)) {
        const auto next = -1 - static_cast<std::int32_t>(numbers.size());
        stretch.accesses[i].push_back({numbers.try_emplace(exclusive, next).first->second, true});
      }
      stretch.branches.add(stretch.accesses[i]);
    }
  }
}

/// Of all drafts, in bytes that memory moves meanwhile: only how they compare matters, and roughly.
std::vector<double> PlanBuilder::estimated_step_costs() const {
  constexpr double launch = 8e6;              // 2 us at 4 TB/s
  constexpr double bytes_an_operation = 0.1;  // at 40 TFLOP/s
  std::vector<double> costs(drafts_.size());
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    costs[at] = launch;
    for (const Pointer& pointer : drafts_[at].pointers) {
      if (pointer.root >= 0)
        costs[at] += static_cast<double>(roots_[static_cast<std::size_t>(pointer.root)].bytes);
    }
  }
  for (const Plan::NodeWork& work : plan_->work_) {
    if (work.steps.empty()) continue;
    costs[work.steps.back()] += bytes_an_operation * operation_count(*work.node, work.inputs, work.outputs);
  }
  return costs;
}

/// Side by side where that takes little more memory: what steps of one branch have done with is not given to
/// those of another, which may run earlier.
void PlanBuilder::place_in_device_arenas() {
  constexpr std::size_t allowed_growth = std::size_t{128} << 20;  // or a quarter
  const auto place = [&] {
    std::size_t bytes = 0;
    for (CudaDevice* device : devices_) bytes += device_arenas_[device].bytes = place_roots(device);
    return bytes;
  };
  const std::size_t one_by_one = place();
  if (stretches_.empty()) return;
  connect_branches();
  std::vector<std::size_t> last_steps;
  for (const Root& root : roots_) last_steps.push_back(root.last_step);
  for (const auto& [drafts, accesses, branches] : stretches_) {
    for (const auto& [block, last] : branches.last_steps()) {
      if (block < 0) continue;
      std::size_t& step = roots_[static_cast<std::size_t>(block)].last_step;
      step = std::max(step, drafts[last]);
    }
  }
  if (place() > one_by_one + std::max(one_by_one / 4, allowed_growth)) {
    for (std::size_t r = 0; r < roots_.size(); ++r) roots_[r].last_step = last_steps[r];
    place();
    return;
  }
  const std::vector<double> costs = estimated_step_costs();
  for (const auto& [drafts, accesses, branches] : stretches_) {
    std::vector<double> costs_of_stretch;
    for (const std::size_t at : drafts) costs_of_stretch.push_back(costs[at]);
    const std::vector<bool> goes_first = branches.longest_way(costs_of_stretch);
    const bool has_branches = std::ranges::find(goes_first, false) != goes_first.end();
    for (std::size_t i = 0; i < drafts.size(); ++i) {
      auto& step = static_cast<CudaStep&>(*drafts_[drafts[i]].step);
      if (i > 0) step.waits_for = branches.waits_for(i);
      step.goes_first = goes_first[i] && has_branches;
    }
  }
}

}  // namespace croton
