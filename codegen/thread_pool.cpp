#include "croton/codegen/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "croton/codegen/work_observer.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

using Clock = std::chrono::steady_clock;

/// How long a thread polls before it sleeps: about what waking a sleeper costs.
constexpr std::chrono::microseconds spin_time{20};
/// Each thread's share is taken in so many pieces, so that a thread that is done early can help the others.
constexpr std::int64_t pieces_per_thread = 4;
/// More than there are in any machine: a slip of the pen that would take the system's threads away.
constexpr int most_threads = 4096;

void check_threads(int threads) {
  if (threads < 1) throw ValueError("threads must be at least 1, got " + std::to_string(threads));
  if (threads > most_threads) {
    throw ValueError("threads must be at most " + std::to_string(most_threads) + ", got " +
                     std::to_string(threads) + " (the flag threads; 0 takes what the machine grants)");
  }
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Polls until done() or the time is over.
template <class F>
bool spin(const F& done) {
  const Clock::time_point end = Clock::now() + spin_time;
  while (true) {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      relax();
    }
    if (Clock::now() >= end) return false;
  }
}

/// Set while a thread runs a part of a launch: what it launches itself runs inline.
thread_local bool is_inside = false;
/// Set in the child of a fork, which has no workers.
std::atomic<bool> is_forked{false};
std::atomic<WorkObserver> work_observer{nullptr};

}  // namespace

// A launch is published by opening the gate. A worker that comes while it is open is counted in and takes
// pieces: first of its own share, then of the others'. When nothing is left the launching thread closes the
// gate and waits for those inside, never for workers that are still waking up.
struct ThreadPool::State {
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  struct alignas(64) Worker {
    std::atomic<std::uint32_t> signal{0};
    std::atomic<bool> is_asleep{false};
    std::thread thread;
  };

  static constexpr std::uint32_t open = 0x80000000u;

  std::mutex launch_mutex;
  std::vector<Share> shares;
  std::vector<Worker> workers;  // number 0 is the launching thread and has none
  std::atomic<int> threads{1};
  bool is_started = false;
  std::atomic<bool> is_ending{false};
  std::atomic<int> pauses{0};

  // The current launch; written while the gate is closed and nobody is inside.
  Body body = nullptr;
  const void* context = nullptr;
  std::int64_t piece = 1;
  int active = 0;
  alignas(64) std::atomic<std::uint32_t> gate{0};

  void start() {
    shares = std::vector<Share>(static_cast<std::size_t>(threads));
    workers = std::vector<Worker>(static_cast<std::size_t>(threads));
    is_ending = false;
    for (int i = 1; i < threads; ++i) {
      try {
        workers[static_cast<std::size_t>(i)].thread = std::thread([this, i] { serve(i); });
      } catch (const std::system_error&) {  // the system has no more: those that there are do the work
        threads = i;
      }
    }
    is_started = true;
  }

  void stop() {
    if (!is_started) return;
    is_ending = true;
    for (std::size_t i = 1; i < workers.size(); ++i) {
      workers[i].signal.fetch_add(1);
      workers[i].signal.notify_one();
    }
    for (std::size_t i = 1; i < workers.size(); ++i) {
      if (workers[i].thread.joinable()) workers[i].thread.join();
    }
    is_started = false;
  }

  void serve(int number) {
    Worker& self = workers[static_cast<std::size_t>(number)];
    std::uint32_t seen = 0;
    while (true) {
      const auto is_called = [&] { return self.signal.load(std::memory_order_acquire) != seen; };
      if (pauses.load(std::memory_order_relaxed) > 0 || !spin(is_called)) {
        self.is_asleep.store(true);
        while (!is_called()) self.signal.wait(seen);
        self.is_asleep.store(false);
      }
      seen = self.signal.load(std::memory_order_acquire);
      if (is_ending) return;
      std::uint32_t g = gate.load(std::memory_order_acquire);
      while ((g & open) != 0 && !gate.compare_exchange_weak(g, g + 1, std::memory_order_acq_rel)) {
      }
      if ((g & open) == 0) continue;
      if (const WorkObserver observer = work_observer.load(std::memory_order_relaxed)) {
        const Clock::time_point start = Clock::now();
        work(number);
        observer(number, start, Clock::now());
      } else {
        work(number);
      }
      if (gate.fetch_sub(1, std::memory_order_acq_rel) == 1)
        gate.notify_one();  // closed, and the last one out
    }
  }

  void work(int number) {
    is_inside = true;
    for (int i = 0; i < active; ++i) {
      Share& share = shares[static_cast<std::size_t>((number + i) % active)];
      while (true) {
        const std::int64_t begin = share.next.fetch_add(piece, std::memory_order_relaxed);
        if (begin >= share.end) break;
        body(context, begin, std::min(begin + piece, share.end), number);
      }
    }
    is_inside = false;
  }

  void launch(std::int64_t extent, std::int64_t grain, Body f, const void* with) {
    const std::int64_t useful = (extent + grain - 1) / grain;
    active = static_cast<int>(std::min<std::int64_t>(useful, threads));
    std::int64_t share = (extent + active - 1) / active;
    // Whole cache lines and vectors to each, when there are many.
    if (share >= 1024) share = (share + 63) / 64 * 64;
    piece = std::max(grain, (share + pieces_per_thread - 1) / pieces_per_thread);
    if (piece >= 1024) piece = (piece + 63) / 64 * 64;
    body = f;
    context = with;
    for (int i = 0; i < active; ++i) {
      Share& s = shares[static_cast<std::size_t>(i)];
      s.next.store(std::min(i * share, extent), std::memory_order_relaxed);
      s.end = std::min((i + 1) * share, extent);
    }
    gate.store(open, std::memory_order_release);
    for (int i = 1; i < active; ++i) {
      Worker& worker = workers[static_cast<std::size_t>(i)];
      worker.signal.fetch_add(1);
      if (worker.is_asleep.load()) worker.signal.notify_one();
    }
    work(0);
    std::uint32_t inside = gate.fetch_and(~open, std::memory_order_acq_rel) & ~open;
    if (inside == 0) return;
    const auto is_empty = [&] { return (inside = gate.load(std::memory_order_acquire)) == 0; };
    if (spin(is_empty)) return;
    while (!is_empty()) gate.wait(inside);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  check_threads(threads);
  state_->threads = threads;
}

ThreadPool::~ThreadPool() { state_->stop(); }

ThreadPool& ThreadPool::instance() {
  // Never destroyed: a kernel may run in the destructor of a static object.
  static ThreadPool* const pool = [] {
    ::pthread_atfork(nullptr, nullptr, [] { is_forked = true; });
    return new ThreadPool(available_cores());
  }();
  return *pool;
}

void ThreadPool::parallel_for(std::int64_t extent, std::int64_t grain, Body body,
                              const void* context) noexcept {
  if (extent <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  State& s = *state_;
  if (extent <= grain || is_inside || s.threads.load(std::memory_order_relaxed) == 1 ||
      is_forked.load(std::memory_order_relaxed) || !s.launch_mutex.try_lock()) {
    body(context, 0, extent, 0);
    return;
  }
  const std::lock_guard lock(s.launch_mutex, std::adopt_lock);
  if (!s.is_started) s.start();
  s.launch(extent, grain, body, context);
}

int ThreadPool::threads() const noexcept { return state_->threads; }

void ThreadPool::set_threads(int threads) {
  check_threads(threads);
  const std::lock_guard lock(state_->launch_mutex);
  if (threads == state_->threads) return;
  state_->stop();
  state_->threads = threads;
}

void ThreadPool::pause() noexcept { state_->pauses.fetch_add(1); }
void ThreadPool::resume() noexcept { state_->pauses.fetch_sub(1); }

void observe_workers(WorkObserver observer) { work_observer.store(observer); }

}  // namespace croton
