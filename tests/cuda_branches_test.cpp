#include "croton/runtime/cuda_branches.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace croton;

namespace {

using Accesses = std::vector<CudaBranches::Access>;

CudaBranches branches_of(const std::vector<Accesses>& steps) {
  CudaBranches branches;
  for (const Accesses& step : steps) branches.add(step);
  return branches;
}

std::size_t last_step_of(const CudaBranches& branches, std::int32_t block) {
  for (const auto& [number, step] : branches.last_steps()) {
    if (number == block) return step;
  }
  FAIL("no block " << block);
  return 0;
}

constexpr bool is_read = false, is_written = true;

}  // namespace

TEST_CASE("steps that touch no memory that one of them writes run side by side",
          "[runtime][cuda][branches]") {
  // 0 makes a; 1 and 2 read it; 3 reads what both made; 4 writes over a.
  const CudaBranches branches = branches_of({{{0, is_written}},
                                             {{0, is_read}, {1, is_written}},
                                             {{0, is_read}, {2, is_written}},
                                             {{1, is_read}, {2, is_read}, {3, is_written}},
                                             {{0, is_written}}});
  using Distances = std::vector<std::uint32_t>;
  CHECK(branches.waits_for(0).empty());
  CHECK(branches.waits_for(1) == Distances{1});
  CHECK(branches.waits_for(2) == Distances{2});
  CHECK(branches.waits_for(3) == Distances{2, 1});
  CHECK(branches.waits_for(4) == Distances{3, 2});
  // 2 may run when 1 has: nothing else may lie where 1 wrote before 3, which waits for both, has begun.
  CHECK(last_step_of(branches, 1) == 4);
  CHECK(last_step_of(branches, 3) == 4);
}

TEST_CASE("memory of a chain is free behind its last user", "[runtime][cuda][branches]") {
  std::vector<Accesses> steps{{{0, is_written}}};
  for (std::int32_t i = 1; i < 10; ++i) steps.push_back({{i - 1, is_read}, {i, is_written}});
  const CudaBranches branches = branches_of(steps);
  for (std::int32_t i = 0; i + 1 < 10; ++i)
    CHECK(last_step_of(branches, i) == static_cast<std::size_t>(i) + 1);
  for (std::size_t i = 1; i < 10; ++i) CHECK(branches.waits_for(i) == std::vector<std::uint32_t>{1});
}

TEST_CASE("the longest way is the one that costs most", "[runtime][cuda][branches]") {
  // 0 -> 1 -> 3 -> 4 and 0 -> 2 -> 4.
  const CudaBranches branches = branches_of({{{0, is_written}},
                                             {{0, is_read}, {1, is_written}},
                                             {{0, is_read}, {2, is_written}},
                                             {{1, is_read}, {3, is_written}},
                                             {{2, is_read}, {3, is_read}, {4, is_written}}});
  using Flags = std::vector<bool>;
  CHECK(branches.longest_way(std::vector<double>{1, 2, 3, 2, 1}) == Flags{true, true, false, true, true});
  CHECK(branches.longest_way(std::vector<double>{1, 2, 5, 2, 1}) == Flags{true, false, true, false, true});
  CHECK(branches.longest_way(std::vector<double>{1, 2, 4, 2, 1}) == Flags{true, true, true, true, true});
  CHECK(branches_of({}).longest_way({}).empty());
}

TEST_CASE("branches keep the order of all who touch what one of them writes", "[runtime][cuda][branches]") {
  std::mt19937 random(5);
  const auto below = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 200; ++round) {
    const std::size_t count = 1 + below(40), blocks = 1 + below(30);
    std::vector<Accesses> steps(count);
    for (Accesses& step : steps) {
      for (std::size_t i = 0; i < 1 + below(4); ++i)
        step.push_back({static_cast<std::int32_t>(below(blocks)), below(3) == 0});
    }
    const CudaBranches branches = branches_of(steps);
    std::vector<std::set<std::size_t>> ended(count);  // when a step begins
    for (std::size_t i = 0; i < count; ++i) {
      for (const std::uint32_t distance : branches.waits_for(i)) {
        REQUIRE((distance > 0 && distance <= i));
        ended[i].insert(i - distance);
        ended[i].insert(ended[i - distance].begin(), ended[i - distance].end());
      }
      CHECK(branches.waits_for(i).size() <= CudaBranches::most_branches);
    }
    const auto touches = [&](std::size_t step, std::int32_t block, bool writes) {
      for (const auto& [number, writes_it] : steps[step]) {
        if (number == block && (writes_it || !writes)) return true;
      }
      return false;
    };
    for (std::int32_t block = 0; block < static_cast<std::int32_t>(blocks); ++block) {
      std::size_t last = 0;
      bool is_touched = false;
      for (std::size_t i = 0; i < count; ++i) {
        if (!touches(i, block, false)) continue;
        is_touched = true;
        for (std::size_t j = 0; j < i; ++j) {
          const bool meet = (touches(i, block, true) && touches(j, block, false)) ||
                            (touches(i, block, false) && touches(j, block, true));
          if (meet) CHECK(ended[i].contains(j));
        }
        last = i;
      }
      if (!is_touched) continue;
      // The first behind which everybody waits for all that touch it.
      const auto is_free_behind = [&](std::size_t step) {
        for (std::size_t later = step + 1; later < count; ++later) {
          for (std::size_t user = 0; user <= last; ++user) {
            if (touches(user, block, false) && !ended[later].contains(user)) return false;
          }
        }
        return true;
      };
      std::size_t expected = last;
      while (!is_free_behind(expected)) ++expected;
      CHECK(last_step_of(branches, block) == expected);
    }
  }
}
