#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace croton {

/// How long each step of a plan took, summed over the calls that were measured. Any number of threads may
/// add.
class StepTimes {
 public:
  explicit StepTimes(std::size_t steps) : nanoseconds_(steps) {}

  void add(std::size_t step, std::chrono::steady_clock::duration time) {
    nanoseconds_[step].fetch_add(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(),
                                 std::memory_order_relaxed);
  }
  void add(std::size_t step, double seconds) {
    nanoseconds_[step].fetch_add(static_cast<std::int64_t>(1e9 * seconds), std::memory_order_relaxed);
  }
  void count_call() { calls_.fetch_add(1, std::memory_order_relaxed); }
  void count_measured() { measured_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  std::uint64_t measured() const { return measured_.load(std::memory_order_relaxed); }
  /// Of all calls, as those that were measured let expect.
  double seconds(std::size_t step) const {
    const double scale = measured() == 0 ? 0 : static_cast<double>(calls()) / static_cast<double>(measured());
    return 1e-9 * static_cast<double>(nanoseconds_[step].load(std::memory_order_relaxed)) * scale;
  }

 private:
  std::vector<std::atomic<std::int64_t>> nanoseconds_;
  std::atomic<std::uint64_t> calls_{0}, measured_{0};
};

}  // namespace croton
