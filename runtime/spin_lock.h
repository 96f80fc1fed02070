#pragma once

#include <atomic>
#include <thread>

namespace croton {

/// A lock for a few instructions: pushing to or popping from a list. Cheaper than a mutex, which matters to
/// calls of a fraction of a microsecond.
class SpinLock {
 public:
  void lock() noexcept {
    while (locked_.exchange(true, std::memory_order_acquire)) {
      while (locked_.load(std::memory_order_relaxed)) std::this_thread::yield();
    }
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

}  // namespace croton
