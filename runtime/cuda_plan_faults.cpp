// How a plan learns that a kernel on a device has met a bad value.

#include <algorithm>

#include "croton/runtime/plan_builder.h"

namespace croton {

/// A kernel of its own tells the host whether those before it have left word.
void PlanBuilder::add_fault_report(const Node& node, std::int32_t fault, std::span<const Place> inputs) {
  CudaDevice& device = *device_of(node);
  auto cell = std::make_shared<CudaFaultCell>(device, plan_->cuda_->fault_count());
  add_draft(std::make_unique<CudaKernelStep>(&node, device, device_kernels_.size()),
            {{fault, 0}, {fixed_root(cell->host(), device), 0}});
  device_kernels_.push_back(fault_report_kernel());
  unchecked_faults_.push_back({&node, std::move(cell), {inputs.begin(), inputs.end()}});
}

/// The shared variables of which the integers among these are parts, if they are parts of such that the
/// function does not change; nothing otherwise.
std::optional<std::vector<SharedCell*>> PlanBuilder::fixed_sources(std::span<const Place> inputs) const {
  std::vector<SharedCell*> sources;
  for (const Place& place : inputs) {
    if (!is_discrete(place.layout.dtype)) continue;
    std::int32_t base = place.root;
    while (roots_[static_cast<std::size_t>(base)].parent >= 0)
      base = roots_[static_cast<std::size_t>(base)].parent;
    const Root& root = roots_[static_cast<std::size_t>(base)];
    if (root.kind == Root::Kind::constant) continue;
    if (root.kind != Root::Kind::shared || root.device == nullptr) return std::nullopt;
    SharedCell* cell = graph_.shared()[root.index].node()->cell().get();
    if (std::ranges::find(request_.updated, cell) != request_.updated.end()) return std::nullopt;
    sources.push_back(cell);
  }
  return sources;
}

/// Before anything is written over shared variables, and at the end.
void PlanBuilder::add_fault_check() {
  for (UncheckedFault& fault : unchecked_faults_) {
    std::vector<Pointer> pointers;
    std::vector<bool> on_device;
    for (const Place& place : fault.inputs) {
      pointers.push_back(place.pointer());
      on_device.push_back(root_of(place).device != nullptr);
    }
    auto check = std::make_unique<CudaFaultCheck>(fault.node, *device_of(*fault.node), std::move(fault.cell),
                                                  layouts_of(fault.inputs), std::move(on_device));
    if (auto sources = fixed_sources(fault.inputs)) check->set_sources(std::move(*sources));
    add_draft(std::move(check), std::move(pointers));
  }
  unchecked_faults_.clear();
}

}  // namespace croton
