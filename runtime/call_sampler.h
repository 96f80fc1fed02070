#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace croton {

/// Nanoseconds that measuring one stretch costs: a look at the clock and an addition. Found out once.
std::int64_t clock_cost();

/// Which calls of a profiled function are measured: every one while that costs less than a hundredth of its
/// time, else one in as many as keep the cost there. Any number of threads may ask.
class CallSampler {
 public:
  static constexpr double largest_cost = 0.01;  // of the calls' time

  /// `all`: whatever it costs.
  explicit CallSampler(bool all = false) : all_(all) {}

  /// Counts a call; answers whether to measure it.
  bool begin() {
    const std::uint64_t number = calls_.fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t period = period_.load(std::memory_order_relaxed);
    return period == 1 || number % period == 0;
  }

  /// A measured call took so long, with so many stretches measured in it.
  void end(std::int64_t nanoseconds, std::size_t stretches) {
    const std::uint64_t count = measured_.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::int64_t total = nanoseconds_.fetch_add(nanoseconds, std::memory_order_relaxed) + nanoseconds;
    const std::int64_t cost = static_cast<std::int64_t>(stretches) * clock_cost();
    const std::int64_t total_cost = cost_.fetch_add(cost, std::memory_order_relaxed) + cost;
    if (all_ || (count & (count - 1)) != 0) return;  // looked at again after 1, 2, 4, 8, … measured calls
    const double call =
        std::max<double>(1, static_cast<double>(total - total_cost) / static_cast<double>(count));
    const double period = std::ceil(static_cast<double>(cost) / (largest_cost * call));
    period_.store(static_cast<std::uint32_t>(std::clamp(period, 1.0, 65536.0)), std::memory_order_relaxed);
  }

  std::uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  std::uint64_t measured() const { return measured_.load(std::memory_order_relaxed); }
  /// Of all calls, as those that were measured let expect.
  double seconds() const {
    return 1e-9 * static_cast<double>(nanoseconds_.load(std::memory_order_relaxed)) * scale();
  }
  /// That measuring took.
  double cost_seconds() const { return 1e-9 * static_cast<double>(cost_.load(std::memory_order_relaxed)); }

 private:
  double scale() const {
    return measured() == 0 ? 0 : static_cast<double>(calls()) / static_cast<double>(measured());
  }

  const bool all_;
  std::atomic<std::uint32_t> period_{1};
  std::atomic<std::uint64_t> calls_{0}, measured_{0};
  std::atomic<std::int64_t> nanoseconds_{0}, cost_{0};
};

}  // namespace croton
