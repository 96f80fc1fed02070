#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "croton/graph/shared_variable.h"

namespace croton {

/// Which cells a function locks for a call, in the order of their addresses.
class CellLockList {
 public:
  CellLockList() = default;
  CellLockList(std::span<SharedCell* const> read, std::span<SharedCell* const> updated) {
    for (SharedCell* cell : updated) entries_.push_back({cell, true});
    for (SharedCell* cell : read) {
      if (std::ranges::find(updated, cell) == updated.end()) entries_.push_back({cell, false});
    }
    std::ranges::sort(entries_, std::less<SharedCell*>(), &Entry::cell);
  }

  /// Holds the cells' mutexes: shared those that are read, exclusively those that are updated.
  class Guard {
   public:
    explicit Guard(const CellLockList& list) : list_(list) {
      for (const Entry& entry : list_.entries_) {
        if (entry.is_updated)
          entry.cell->mutex().lock();
        else
          entry.cell->mutex().lock_shared();
      }
    }
    ~Guard() {
      for (auto entry = list_.entries_.rbegin(); entry != list_.entries_.rend(); ++entry) {
        if (entry->is_updated)
          entry->cell->mutex().unlock();
        else
          entry->cell->mutex().unlock_shared();
      }
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    const CellLockList& list_;
  };

 private:
  struct Entry {
    SharedCell* cell;
    bool is_updated;
  };
  std::vector<Entry> entries_;
};

}  // namespace croton
