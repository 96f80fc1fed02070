#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <utility>

namespace croton {

/// Places buffers in one block of memory while time goes on: a buffer is taken, later given back, and others
/// take its place. Best fit: the smallest hole that is large enough. Offsets are multiples of
/// tensor_alignment.
class ArenaPlanner {
 public:
  /// The offset of a new buffer.
  std::size_t take(std::size_t bytes);
  void give_back(std::size_t offset, std::size_t bytes);
  /// What the block must hold.
  std::size_t size() const { return size_; }

 private:
  using Holes = std::map<std::size_t, std::size_t>;  // from offsets to sizes
  void add_hole(std::size_t offset, std::size_t bytes);
  void remove_hole(Holes::iterator hole);

  Holes holes_;
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  // sizes and offsets
  std::size_t size_ = 0;
};

}  // namespace croton
