#include "croton/runtime/cuda_branches.h"

#include <algorithm>

namespace croton {

namespace {

template <class Clock>
void advance(Clock& clock, const Clock& other) {
  for (std::size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

}  // namespace

void CudaBranches::wait(std::uint32_t step, Clock& direct, Clock& ended) const {
  if (step == 0) return;
  std::uint32_t& last = direct[branch_of_[step - 1]];
  last = std::max(last, step);
  advance(ended, ended_[step - 1]);
}

/// The one whose last step has ended latest of those whose last steps have to end in any case (an empty one,
/// if it must be); where there is none, the one whose last step came earliest.
std::size_t CudaBranches::choose_branch(const Clock& ended) const {
  std::size_t chosen = most_branches;
  for (std::size_t i = 0; i < most_branches; ++i) {
    if (ended[i] < tails_[i]) continue;
    if (chosen == most_branches || tails_[i] > tails_[chosen]) chosen = i;
  }
  if (chosen < most_branches) return chosen;
  return static_cast<std::size_t>(std::ranges::min_element(tails_) - tails_.begin());
}

void CudaBranches::add(std::span<const Access> accesses) {
  Clock direct{}, ended{};
  for (const Access& access : accesses) {
    const Block& block = blocks_[access.block];
    wait(block.writer, direct, ended);
    if (!access.is_written) continue;
    for (const std::uint32_t reader : block.readers) wait(reader, direct, ended);
  }
  const std::size_t branch = choose_branch(ended);
  wait(tails_[branch], direct, ended);
  branch_of_.push_back(static_cast<std::uint8_t>(branch));
  const auto number = static_cast<std::uint32_t>(branch_of_.size());
  tails_[branch] = ended[branch] = number;
  direct_.push_back(direct);
  ended_.push_back(ended);
  for (const Access& access : accesses) {
    Block& block = blocks_[access.block];
    block.users[branch] = number;
    if (access.is_written) {
      block.writer = number;
      block.readers = {};
    } else if (block.writer != number) {
      block.readers[branch] = number;
    }
  }
}

std::vector<std::uint32_t> CudaBranches::waits_for(std::size_t step) const {
  const Clock& direct = direct_[step];
  std::vector<std::uint32_t> distances;
  for (std::size_t i = 0; i < most_branches; ++i) {
    if (direct[i] == 0) continue;
    const bool is_waited_for = std::ranges::any_of(direct, [&](std::uint32_t other) {
      return other != 0 && other != direct[i] && ended_[other - 1][i] >= direct[i];
    });
    if (!is_waited_for) distances.push_back(static_cast<std::uint32_t>(step + 1 - direct[i]));
  }
  return distances;
}

std::vector<std::pair<std::int32_t, std::size_t>> CudaBranches::last_steps() const {
  std::vector<std::pair<std::int32_t, std::size_t>> last;
  const std::size_t count = ended_.size();
  if (count == 0) return last;
  // What has ended whenever one of the steps behind the i-th begins: more and more.
  std::vector<Clock> ended_behind(count);
  ended_behind.back().fill(static_cast<std::uint32_t>(count));
  for (std::size_t i = count; --i > 0;) {
    for (std::size_t b = 0; b < most_branches; ++b)
      ended_behind[i - 1][b] = std::min(ended_behind[i][b], ended_[i][b]);
  }
  for (const auto& [number, block] : blocks_) {
    const Clock& users = block.users;
    const auto covers = [&](const Clock& ended) {
      return std::ranges::equal(users, ended, std::ranges::less_equal());
    };
    const std::size_t last_user = *std::ranges::max_element(users) - 1;
    const auto first = std::partition_point(ended_behind.begin() + static_cast<std::ptrdiff_t>(last_user),
                                            ended_behind.end(), [&](const Clock& c) { return !covers(c); });
    last.emplace_back(number, static_cast<std::size_t>(first - ended_behind.begin()));
  }
  return last;
}

std::vector<bool> CudaBranches::longest_way(std::span<const double> costs) const {
  const std::size_t count = direct_.size();
  std::vector<double> begin(count), rest(count);  // from the first on; to the end of the last
  for (std::size_t i = 0; i < count; ++i) {
    for (const std::uint32_t before : direct_[i]) {
      if (before != 0) begin[i] = std::max(begin[i], begin[before - 1] + costs[before - 1]);
    }
  }
  double whole = 0;
  for (std::size_t i = count; i-- > 0;) {
    rest[i] += costs[i];
    whole = std::max(whole, rest[i]);
    for (const std::uint32_t before : direct_[i]) {
      if (before != 0) rest[before - 1] = std::max(rest[before - 1], rest[i]);
    }
  }
  constexpr double roundoff = 1e-9;
  std::vector<bool> is_on_it(count);
  for (std::size_t i = 0; i < count; ++i) is_on_it[i] = begin[i] + rest[i] >= whole * (1 - roundoff);
  return is_on_it;
}

}  // namespace croton
