#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/op.h"
#include "croton/runtime/arena.h"
#include "croton/runtime/cuda_nvtx.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

void PlanBuilder::place_in_arena() {
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    for (const Pointer& pointer : drafts_[at].pointers) {
      for (std::int32_t r = pointer.root; r >= 0; r = roots_[static_cast<std::size_t>(r)].parent) {
        Root& root = roots_[static_cast<std::size_t>(r)];
        if (!root.is_touched) root.first_step = at;
        root.is_touched = true;
        root.last_step = at;
      }
    }
  }
  plan_->arena_bytes_ = place_roots(nullptr);
  place_in_device_arenas();
}

/// The size of the arena.
std::size_t PlanBuilder::place_roots(CudaDevice* device) {
  std::vector<std::vector<std::size_t>> begins(drafts_.size()), ends(drafts_.size());
  for (std::size_t r = 0; r < roots_.size(); ++r) {
    const Root& root = roots_[r];
    const bool is_wanted = root.kind == Root::Kind::computed && root.device == device;
    if (!is_wanted || root.result >= 0 || !root.is_touched) continue;
    begins[root.first_step].push_back(r);
    ends[root.last_step].push_back(r);
  }
  // Devices read whole lines of 256 bytes.
  const std::size_t unit = device != nullptr ? 256 : 1;
  const auto bytes_of_root = [&](std::size_t r) { return (roots_[r].bytes + unit - 1) / unit * unit; };
  ArenaPlanner arena;
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    for (const std::size_t r : begins[at]) roots_[r].arena_offset = arena.take(bytes_of_root(r));
    for (const std::size_t r : ends[at]) arena.give_back(roots_[r].arena_offset, bytes_of_root(r));
  }
  return arena.size();
}

Plan::SlotUse PlanBuilder::use_of(std::int32_t number, std::ptrdiff_t offset) const {
  using Kind = Plan::SlotUse::Kind;
  const Root& root = roots_[static_cast<std::size_t>(number)];
  Plan::SlotUse use{.kind = Kind::arena,
                    .device = root.device == nullptr ? Device() : Device::cuda(root.device->ordinal()),
                    .index = root.index,
                    .offset = offset};
  switch (root.kind) {
    case Root::Kind::computed:
      if (root.result >= 0) {
        use.kind = Kind::result;
        use.index = static_cast<std::uint32_t>(root.result);
      } else {
        use.offset += static_cast<std::ptrdiff_t>(root.arena_offset);
      }
      break;
    case Root::Kind::input:
      use.kind = Kind::input;
      break;
    case Root::Kind::shared:
      use.kind = Kind::shared;
      break;
    case Root::Kind::constant:
      use.kind = Kind::constant;
      break;
    case Root::Kind::dynamic:
      use.kind = Kind::view;
      break;
  }
  return use;
}

void PlanBuilder::list_places() {
  plan_->stored_.reserve(places_.size());
  for (const auto& [variable, place] : places_) {
    const std::size_t bytes =
        static_cast<std::size_t>(place.layout.shape.count()) * size_of(place.layout.dtype);
    plan_->stored_.push_back({variable, use_of(place.root, place.offset), bytes});
  }
}

void PlanBuilder::connect() {
  for (Draft& draft : drafts_) {
    draft.step->first_slot = static_cast<std::uint32_t>(plan_->fixed_slots_.size());
    for (const Pointer& pointer : draft.pointers) {
      const auto slot = static_cast<std::uint32_t>(plan_->fixed_slots_.size());
      plan_->fixed_slots_.push_back(nullptr);
      plan_->slot_uses_.emplace_back();
      if (pointer.root < 0) continue;
      const Root& root = roots_[static_cast<std::size_t>(pointer.root)];
      const Plan::SlotUse use = use_of(pointer.root, pointer.offset);
      plan_->slot_uses_.back() = use;
      switch (root.kind) {
        case Root::Kind::computed:
          if (root.result >= 0) {
            plan_->results_[use.index].patches.push_back({slot, pointer.offset});
          } else {
            const auto offset = static_cast<std::size_t>(use.offset);
            if (root.device != nullptr)
              device_arenas_[root.device].pointers.push_back({slot, offset});
            else
              plan_->arena_pointers_.push_back({slot, offset});
          }
          break;
        case Root::Kind::input:
          plan_->input_patches_[root.index].push_back({slot, pointer.offset});
          break;
        case Root::Kind::shared:
          plan_->shared_patches_[root.index].push_back({slot, pointer.offset});
          break;
        case Root::Kind::constant:
          plan_->fixed_slots_[slot] = static_cast<std::byte*>(constant_address(root)) + pointer.offset;
          break;
        case Root::Kind::dynamic:
          view_steps_[root.index]->patches.push_back({slot, pointer.offset});
          break;
      }
    }
    plan_->steps_.push_back(std::move(draft.step));
  }
  if (plan_->cuda_ != nullptr) {
    for (CudaDevice* device : devices_) {
      CudaPlan::Arena& arena = device_arenas_[device];
      arena.largest = largest_buffers(*device);
      plan_->cuda_->set_arena(*device, std::move(arena));
    }
    std::string reason;
    if (request_.profile) reason = "the function is profiled";
    if (is_observed()) reason = "every node is looked at (the function's mode)";
    plan_->cuda_->find_stretches(plan_->steps_, plan_->fixed_slots_.size(), reason);
    name_ranges();
  }
  if (!request_.profile) return;
  prepare_profile();
  if (Trace::active() != nullptr) label_steps(*Trace::active());
}

/// Which memory is alive when.
void PlanBuilder::prepare_profile() {
  plan_->times_ = std::make_unique<StepTimes>(plan_->steps_.size());
  for (const Root& root : roots_) {
    if (root.kind != Root::Kind::computed || !root.is_touched) continue;
    const Node* node = plan_->steps_[root.first_step]->node();
    plan_->blocks_.push_back({node, root.bytes, root.first_step, root.last_step, root.result >= 0});
  }
  for (const Plan::NodeWork& work : plan_->work_) {
    if (work.steps.empty()) continue;
    for (const auto& [output, input] : work.node->op().destroy_map(*work.node)) {
      const Layout& layout = work.outputs[static_cast<std::size_t>(output)];
      // The new value of a shared variable would need them until the call ends.
      const bool is_kept =
          root_of(place_of(work.node->input(static_cast<std::size_t>(input)))).kind == Root::Kind::shared;
      plan_->reuses_.push_back({static_cast<std::size_t>(layout.shape.count()) * size_of(layout.dtype),
                                work.steps.back(), is_kept ? plan_->steps_.size() - 1 : work.steps.back()});
    }
  }
}

/// What the steps are called in NVIDIA's profilers.
void PlanBuilder::name_ranges() {
  if (!config().gpu_nvtx() && !request_.profile) return;
  if (!nvtx_problem().empty()) {
    if (config().gpu_nvtx()) warn_once("gpu.nvtx: " + nvtx_problem());
    return;
  }
  std::vector<std::string> names;
  for (const auto& step : plan_->steps_) {
    std::string name = step->node() == nullptr ? step->kind() : node_label(*step->node());
    if (step->node() != nullptr && step->node()->where().known())
      name += ", " + to_string(step->node()->where());
    names.push_back(std::move(name));
  }
  plan_->cuda_->name_ranges(std::move(names));
}

/// What the steps are called in a trace.
void PlanBuilder::label_steps(Trace& trace) {
  plan_->trace_labels_.resize(plan_->steps_.size());
  for (std::size_t i = 0; i < plan_->steps_.size(); ++i) {
    const Step& step = *plan_->steps_[i];
    std::vector<std::pair<std::string, std::string>> details{{"step", std::to_string(i)},
                                                             {"by", step.kind()}};
    std::string name = step.kind();
    if (step.node() != nullptr) {
      name = node_label(*step.node());
      details.emplace_back("node", name);
      if (step.node()->where().known()) details.emplace_back("made at", to_string(step.node()->where()));
      std::string inputs;
      for (const Variable& input : step.node()->inputs())
        inputs += (inputs.empty() ? "" : ", ") + to_string(input.type());
      details.emplace_back("inputs", inputs);
      details.emplace_back("output", to_string(step.node()->type()));
    }
    plan_->trace_labels_[i] = trace.label(name, std::move(details));
    if (!devices_.empty()) plan_->trace_labels_.push_back(trace.label("enqueue " + name));
  }
}

}  // namespace croton
