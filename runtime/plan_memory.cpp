#include "croton/runtime/arena.h"
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
  plan_->arena_bytes_ = place_roots(false);
  device_arena_bytes_ = place_roots(true);
}

/// The size of the arena.
std::size_t PlanBuilder::place_roots(bool on_device) {
  std::vector<std::vector<std::size_t>> begins(drafts_.size()), ends(drafts_.size());
  for (std::size_t r = 0; r < roots_.size(); ++r) {
    const Root& root = roots_[r];
    const bool is_wanted = root.kind == Root::Kind::computed && root.on_device == on_device;
    if (!is_wanted || root.result >= 0 || !root.is_touched) continue;
    begins[root.first_step].push_back(r);
    ends[root.last_step].push_back(r);
  }
  // Devices read whole lines of 256 bytes.
  const std::size_t unit = on_device ? 256 : 1;
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
  Plan::SlotUse use{.kind = Kind::arena, .on_device = root.on_device, .index = root.index, .offset = offset};
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
            if (root.on_device)
              device_pointers_.push_back({slot, offset});
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
    plan_->cuda_->set_arena(device_arena_bytes_, std::move(device_pointers_), largest_buffers());
    plan_->cuda_->find_stretches(plan_->steps_, plan_->fixed_slots_.size(), request_.profile);
  }
  if (request_.profile) plan_->times_ = std::make_unique<StepTimes>(plan_->steps_.size());
}

}  // namespace croton
