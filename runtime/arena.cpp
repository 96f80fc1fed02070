#include "croton/runtime/arena.h"

#include <iterator>

#include "croton/graph/tensor_storage.h"

namespace croton {

namespace {

std::size_t rounded(std::size_t bytes) {
  return (bytes + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
}

}  // namespace

std::size_t ArenaPlanner::take(std::size_t bytes) {
  bytes = rounded(bytes);
  if (const auto fit = by_size_.lower_bound({bytes, 0}); fit != by_size_.end() && bytes > 0) {
    const std::size_t offset = fit->second, left = fit->first - bytes;
    remove_hole(holes_.find(offset));
    if (left > 0) add_hole(offset + bytes, left);
    return offset;
  }
  // At the end; a hole there is used up first.
  std::size_t offset = size_;
  if (!holes_.empty() && bytes > 0) {
    const auto last = std::prev(holes_.end());
    if (last->first + last->second == size_) {
      offset = last->first;
      remove_hole(last);
    }
  }
  size_ = offset + bytes;
  return offset;
}

void ArenaPlanner::give_back(std::size_t offset, std::size_t bytes) {
  bytes = rounded(bytes);
  if (bytes == 0) return;
  if (const auto after = holes_.find(offset + bytes); after != holes_.end()) {
    bytes += after->second;
    remove_hole(after);
  }
  if (const auto next = holes_.lower_bound(offset); next != holes_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      remove_hole(before);
    }
  }
  add_hole(offset, bytes);
}

void ArenaPlanner::add_hole(std::size_t offset, std::size_t bytes) {
  holes_.emplace(offset, bytes);
  by_size_.emplace(bytes, offset);
}

void ArenaPlanner::remove_hole(Holes::iterator hole) {
  by_size_.erase({hole->second, hole->first});
  holes_.erase(hole);
}

}  // namespace croton
