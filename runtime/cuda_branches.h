#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace croton {

/// Which of the steps that a device gets in order may run side by side: a step waits for those that wrote
/// what it reads, and for those that read or wrote what it writes. Each step belongs to one of a few
/// branches, whose steps run one behind the other.
class CudaBranches {
 public:
  static constexpr std::size_t most_branches = 8;

  struct Access {
    std::int32_t block;  // of memory, by any number
    bool is_written;
  };

  /// One more step.
  void add(std::span<const Access> accesses);
  /// How many steps before it those are that a step waits for, without those that these wait for themselves.
  std::vector<std::uint32_t> waits_for(std::size_t step) const;
  /// The first step, from the last one on that touches a block, behind which all steps wait for all that
  /// touch it: other values may lie there from then on.
  std::vector<std::pair<std::int32_t, std::size_t>> last_steps() const;
  /// Whether each step lies on a longest way through all of them, which none of them can be finished before.
  /// `costs`: of the steps, in any unit.
  std::vector<bool> longest_way(std::span<const double> costs) const;

 private:
  /// For each branch one of its steps, counted from 1 in the order of all; 0: none.
  using Clock = std::array<std::uint32_t, most_branches>;
  struct Block {
    std::uint32_t writer = 0;  // the last one
    Clock readers{};           // the last ones since then
    Clock users{};             // the last ones
  };

  void wait(std::uint32_t step, Clock& direct, Clock& ended) const;
  std::size_t choose_branch(const Clock& ended) const;

  std::unordered_map<std::int32_t, Block> blocks_;
  std::vector<Clock> direct_;  // what each step waits for
  std::vector<Clock> ended_;   // what has ended when it has
  std::vector<std::uint8_t> branch_of_;
  Clock tails_{};  // the last steps
};

}  // namespace croton
