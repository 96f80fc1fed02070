#include <fmt/format.h>

#include <iterator>
#include <mutex>
#include <span>

#include "croton/graph/op.h"
#include "croton/runtime/plan.h"

namespace croton {

namespace {

std::string_view word(Plan::SlotUse::Kind kind) {
  using Kind = Plan::SlotUse::Kind;
  switch (kind) {
    case Kind::arena:
      return "arena";
    case Kind::input:
      return "input";
    case Kind::shared:
      return "shared";
    case Kind::constant:
      return "constant";
    case Kind::view:
      return "view";
    case Kind::result:
      break;
  }
  return "result";
}

/// The steps that a step waits for, where that is not the one before; whether it goes before what runs
/// beside.
std::string behind(std::span<const std::unique_ptr<Step>> steps, std::size_t position) {
  const auto as_device_step = [&](std::size_t at) { return dynamic_cast<const CudaStep*>(steps[at].get()); };
  const CudaStep* const step = as_device_step(position);
  if (step == nullptr) return {};
  const std::string first = step->goes_first ? ", first" : "";
  if (step->waits_for_previous()) return first;
  std::string text;
  for (std::uint32_t before : step->waits_for) {
    std::size_t at = position;
    while (before > 0) before -= as_device_step(--at) != nullptr;
    text += fmt::format("{} {}", text.empty() ? " behind" : ",", at);
  }
  return (text.empty() ? " behind none" : text) + first;
}

}  // namespace

std::string to_string(const Plan::SlotUse& use) {
  std::string text = use.device.is_host() ? std::string() : to_string(use.device) + " ";
  text += word(use.kind);
  if (use.kind != Plan::SlotUse::Kind::arena) fmt::format_to(std::back_inserter(text), " {}", use.index);
  if (use.offset != 0 || use.kind == Plan::SlotUse::Kind::arena)
    fmt::format_to(std::back_inserter(text), "+{}", use.offset);
  return text;
}

std::string Plan::to_text() const {
  std::string text = fmt::format("plan of {} steps, {} bytes for intermediate values, {} for results\n",
                                 steps_.size(), arena_bytes(), result_bytes());
  if (cuda_ != nullptr) {
    const std::lock_guard guard(lock_);
    text += cuda_->to_text(free_ == nullptr ? nullptr : &free_->cuda);
  }
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = *steps_[i];
    fmt::format_to(std::back_inserter(text), "{:4}  {}", i, step.kind());
    if (step.node() != nullptr) text += " " + node_label(*step.node());
    const std::size_t end = i + 1 < steps_.size() ? steps_[i + 1]->first_slot : slot_uses_.size();
    text += " (";
    for (std::size_t slot = step.first_slot; slot < end; ++slot) {
      if (slot > step.first_slot) text += ", ";
      text += to_string(slot_uses_[slot]);
    }
    text += ")" + behind(steps_, i) + "\n";
  }
  return text;
}

}  // namespace croton
