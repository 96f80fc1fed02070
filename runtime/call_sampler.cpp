#include "croton/runtime/call_sampler.h"

#include <chrono>
#include <utility>

#include "croton/runtime/step_times.h"

namespace croton {

std::int64_t clock_cost() {
  static const std::int64_t cost = [] {
    constexpr int stretches = 1000;
    StepTimes times(1);
    std::int64_t best = 1'000'000;
    for (int round = 0; round < 5; ++round) {
      const auto start = std::chrono::steady_clock::now();
      auto last = start;
      for (int i = 0; i < stretches; ++i) {
        const auto now = std::chrono::steady_clock::now();
        times.add(0, now - std::exchange(last, now));
      }
      const auto time = last - start;
      best = std::min(best, static_cast<std::int64_t>(
                                std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()) /
                                stretches);
    }
    return std::max<std::int64_t>(best, 1);
  }();
  return cost;
}

}  // namespace croton
