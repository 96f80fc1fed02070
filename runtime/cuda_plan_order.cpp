#include <unordered_set>

#include "croton/graph/node.h"
#include "croton/runtime/plan_builder.h"

// The order of a plan's steps where some run on a device.

namespace croton {

/// What the host does without the device goes first and what only fetches results goes last, so that the
/// device works in long stretches.
void PlanBuilder::order_drafts() {
  if (devices_.empty()) return;
  const auto for_each_root = [&](const Draft& draft, auto&& f) {
    for (const Pointer& pointer : draft.pointers) {
      for (std::int32_t r = pointer.root; r >= 0; r = roots_[static_cast<std::size_t>(r)].parent) f(r);
    }
  };
  std::vector<std::size_t> touches(roots_.size()), last_touch(roots_.size());
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    std::unordered_set<std::int32_t> seen;
    for_each_root(drafts_[at], [&](std::int32_t r) {
      if (seen.insert(r).second) ++touches[static_cast<std::size_t>(r)];
      last_touch[static_cast<std::size_t>(r)] = at;
    });
  }
  std::vector<std::size_t> early, middle, late;
  std::unordered_set<std::int32_t> blocked;
  for (std::size_t at = 0; at < drafts_.size(); ++at) {
    Draft& draft = drafts_[at];
    const bool is_device_work = dynamic_cast<CudaStep*>(draft.step.get()) != nullptr ||
                                dynamic_cast<PeerCopyStep*>(draft.step.get()) != nullptr;
    if (is_device_work) {
      middle.push_back(at);
      continue;
    }
    if (auto* fetch = dynamic_cast<DownloadStep*>(draft.step.get())) {
      const auto to = static_cast<std::size_t>(draft.pointers[1].root);
      fetch->waits = roots_[to].result < 0 || touches[to] > 1;
      if (fetch->waits) {
        const Node* node = draft.step->node();
        plan_->cuda_->add_wait(node == nullptr ? std::string("a copy for the host")
                                               : describe(node->input(0)));
      }
      blocked.insert(draft.pointers[1].root);
      bool source_changes = false;
      for (std::int32_t r = draft.pointers[0].root; r >= 0; r = roots_[static_cast<std::size_t>(r)].parent)
        source_changes = source_changes || last_touch[static_cast<std::size_t>(r)] > at;
      (fetch->waits || source_changes ? middle : late).push_back(at);
      continue;
    }
    bool is_early = at < first_shared_write_ && dynamic_cast<CudaFaultCheck*>(draft.step.get()) == nullptr;
    for_each_root(draft, [&](std::int32_t r) { is_early = is_early && !blocked.contains(r); });
    if (!is_early) {
      for_each_root(draft, [&](std::int32_t r) {
        if (roots_[static_cast<std::size_t>(r)].device == nullptr) blocked.insert(r);
      });
    }
    (is_early ? early : middle).push_back(at);
  }
  std::vector<std::size_t> order = std::move(early);
  order.insert(order.end(), middle.begin(), middle.end());
  order.insert(order.end(), late.begin(), late.end());
  std::vector<Draft> ordered;
  std::vector<std::size_t> place_now(drafts_.size());
  for (const std::size_t at : order) {
    place_now[at] = ordered.size();
    ordered.push_back(std::move(drafts_[at]));
  }
  drafts_ = std::move(ordered);
  for (Plan::NodeWork& work : plan_->work_) {
    for (std::size_t& step : work.steps) step = place_now[step];
  }
}

}  // namespace croton
