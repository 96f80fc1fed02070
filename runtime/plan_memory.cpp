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
  std::vector<std::vector<std::size_t>> begins(drafts_.size()), ends(drafts_.size());
  for (std::size_t r = 0; r < roots_.size(); ++r) {
    const Root& root = roots_[r];
    if (root.kind != Root::Kind::computed || root.result >= 0 || !root.is_touched) continue;
    begins[root.first_step].push_back(r);
    ends[root.last_step].push_back(r);
  }
  ArenaPlanner arena;
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    for (const std::size_t r : begins[at]) roots_[r].arena_offset = arena.take(roots_[r].bytes);
    for (const std::size_t r : ends[at]) arena.give_back(roots_[r].arena_offset, roots_[r].bytes);
  }
  plan_->arena_bytes_ = arena.size();
}

void PlanBuilder::connect() {
  using Kind = Plan::SlotUse::Kind;
  for (Draft& draft : drafts_) {
    draft.step->first_slot = static_cast<std::uint32_t>(plan_->fixed_slots_.size());
    for (const Pointer& pointer : draft.pointers) {
      const auto slot = static_cast<std::uint32_t>(plan_->fixed_slots_.size());
      plan_->fixed_slots_.push_back(nullptr);
      plan_->slot_uses_.emplace_back();
      if (pointer.root < 0) continue;
      const Root& root = roots_[static_cast<std::size_t>(pointer.root)];
      Plan::SlotUse& use = plan_->slot_uses_.back();
      use = {.kind = Kind::arena, .index = root.index, .offset = pointer.offset};
      switch (root.kind) {
        case Root::Kind::computed:
          if (root.result >= 0) {
            use.kind = Kind::result;
            use.index = static_cast<std::uint32_t>(root.result);
            plan_->results_[use.index].patches.push_back({slot, pointer.offset});
          } else {
            use.offset += static_cast<std::ptrdiff_t>(root.arena_offset);
            plan_->arena_pointers_.push_back({slot, static_cast<std::size_t>(use.offset)});
          }
          break;
        case Root::Kind::input:
          use.kind = Kind::input;
          plan_->input_patches_[root.index].push_back({slot, pointer.offset});
          break;
        case Root::Kind::shared:
          use.kind = Kind::shared;
          plan_->shared_patches_[root.index].push_back({slot, pointer.offset});
          break;
        case Root::Kind::constant:
          use.kind = Kind::constant;
          plan_->fixed_slots_[slot] =
              static_cast<std::byte*>(plan_->constants_[root.index].raw_data()) + pointer.offset;
          break;
        case Root::Kind::dynamic:
          use.kind = Kind::view;
          view_steps_[root.index]->patches.push_back({slot, pointer.offset});
          break;
      }
    }
    plan_->steps_.push_back(std::move(draft.step));
  }
  if (request_.profile) plan_->times_ = std::make_unique<StepTimes>(plan_->steps_.size());
}

}  // namespace croton
