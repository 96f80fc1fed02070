#pragma once

#include <cstdint>
#include <memory>

#include "croton/graph/export.h"

namespace croton {

/// The threads that run generated code: one pool for the process. The launching thread takes part; workers
/// sleep between launches after a short bounded spin, so they never compete with the threads of a library.
class CROTON_API ThreadPool {
 public:
  /// Runs indices begin … end - 1; worker is 0 for the launching thread, else 1 … threads - 1.
  using Body = void (*)(const void* context, std::int64_t begin, std::int64_t end, std::int32_t worker);

  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// The pool of the process.
  static ThreadPool& instance();

  /// Calls body on disjoint ranges that cover [0, extent), each of at least `grain` indices but for the last,
  /// on at most threads() threads, and returns when all are done. Allocates nothing. Runs inline, as one
  /// range, when extent <= grain, inside another parallel_for, or while another thread uses the pool.
  void parallel_for(std::int64_t extent, std::int64_t grain, Body body, const void* context) noexcept;

  int threads() const noexcept;
  /// Ends the workers and starts others; waits until no launch is running. 1 to 4096 (ValueError); where the
  /// system does not have so many threads, the pool has fewer.
  void set_threads(int threads);

  /// While paused, workers go to sleep at once instead of spinning first (a library with threads of its own
  /// is running).
  void pause() noexcept;
  void resume() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Cores that this process may use: the smaller of its affinity and its control group's cpu limit, at
/// least 1.
CROTON_API int available_cores();

}  // namespace croton
