#include "croton/runtime/plan_cache.h"

#include <algorithm>
#include <mutex>

namespace croton {

void PlanCache::move_to_front(std::size_t position) {
  const auto first = entries_.begin();
  if (position > 0) {
    std::rotate(first, first + static_cast<std::ptrdiff_t>(position),
                first + static_cast<std::ptrdiff_t>(position) + 1);
  }
}

std::shared_ptr<const ShapeSignature> PlanCache::find(const Tensor* const* inputs, SharedCell* const* cells,
                                                      std::shared_ptr<Plan>& plan) {
  const std::lock_guard guard(lock_);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].signature->matches(inputs, cells)) continue;
    if (entries_[i].signature->extents != nullptr) return entries_[i].signature;
    move_to_front(i);
    plan = entries_.front().plan;
    return nullptr;
  }
  return nullptr;
}

std::shared_ptr<Plan> PlanCache::find(const ShapeSignature& signature,
                                      std::span<const std::int64_t> extents) {
  const std::lock_guard guard(lock_);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].signature.get() != &signature || !std::ranges::equal(entries_[i].extents, extents))
      continue;
    move_to_front(i);
    return entries_.front().plan;
  }
  return nullptr;
}

std::shared_ptr<Plan> PlanCache::insert(Entry entry) {
  std::shared_ptr<Plan> evicted;
  const std::lock_guard guard(lock_);
  entries_.reserve(most_plans + 1);
  entries_.insert(entries_.begin(), std::move(entry));
  if (entries_.size() > most_plans) {
    evicted = std::move(entries_.back().plan);
    entries_.pop_back();
  }
  return evicted;
}

std::shared_ptr<Plan> PlanCache::last() const {
  const std::lock_guard guard(lock_);
  return entries_.empty() ? nullptr : entries_.front().plan;
}

std::vector<std::shared_ptr<Plan>> PlanCache::all() const {
  const std::lock_guard guard(lock_);
  std::vector<std::shared_ptr<Plan>> plans;
  for (const Entry& entry : entries_) plans.push_back(entry.plan);
  return plans;
}

}  // namespace croton
