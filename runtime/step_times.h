#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace croton {

/// How long each step of a plan took, summed over its calls. Any number of threads may add.
class StepTimes {
 public:
  explicit StepTimes(std::size_t steps) : nanoseconds_(steps) {}

  /// Adds its own life time to a step.
  class Clock {
   public:
    Clock(StepTimes& times, std::size_t step)
        : times_(times), step_(step), start_(std::chrono::steady_clock::now()) {}
    ~Clock() {
      const auto time = std::chrono::steady_clock::now() - start_;
      times_.nanoseconds_[step_].fetch_add(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(),
                                           std::memory_order_relaxed);
    }
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;

   private:
    StepTimes& times_;
    std::size_t step_;
    std::chrono::steady_clock::time_point start_;
  };

  void add(std::size_t step, double seconds) {
    nanoseconds_[step].fetch_add(static_cast<std::int64_t>(1e9 * seconds), std::memory_order_relaxed);
  }
  void count_call() { calls_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  double seconds(std::size_t step) const {
    return 1e-9 * static_cast<double>(nanoseconds_[step].load(std::memory_order_relaxed));
  }

 private:
  std::vector<std::atomic<std::int64_t>> nanoseconds_;
  std::atomic<std::uint64_t> calls_{0};
};

}  // namespace croton
