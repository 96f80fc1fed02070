#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"

using namespace croton;

namespace {

struct Work {
  std::vector<std::atomic<int>> visits;
  std::atomic<int> calls{0};
  std::atomic<int> most_worker{0};
  std::atomic<std::int64_t> shortest{1 << 30};
  explicit Work(std::size_t extent) : visits(extent) {}

  static void body(const void* context, std::int64_t begin, std::int64_t end, std::int32_t worker) {
    auto& work = *static_cast<Work*>(const_cast<void*>(context));
    work.calls++;
    for (std::int64_t i = begin; i < end; ++i) work.visits[static_cast<std::size_t>(i)]++;
    if (worker > work.most_worker) work.most_worker = worker;
    if (end < static_cast<std::int64_t>(work.visits.size()) && end - begin < work.shortest)
      work.shortest = end - begin;
  }
  bool is_done_once() const {
    for (const auto& count : visits) {
      if (count != 1) return false;
    }
    return true;
  }
};

}  // namespace

TEST_CASE("every index is visited once", "[codegen][threads]") {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const std::int64_t extent : {0, 1, 2, 7, 64, 1000, 12345, 100000}) {
      for (const std::int64_t grain : {1, 3, 100, 5000}) {
        Work work(static_cast<std::size_t>(extent));
        pool.parallel_for(extent, grain, Work::body, &work);
        INFO(threads << " threads, " << extent << " by " << grain);
        CHECK(work.is_done_once());
        CHECK(work.most_worker < threads);
        if (extent <= grain) CHECK(work.calls == (extent > 0 ? 1 : 0));
      }
    }
  }
}

TEST_CASE("many small launches in a row", "[codegen][threads]") {
  ThreadPool pool(3);
  for (int i = 0; i < 20000; ++i) {
    Work work(7);
    pool.parallel_for(7, 1, Work::body, &work);
    if (!work.is_done_once()) FAIL("launch " << i);
    if (i % 1000 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // let the workers go to sleep
  }
}

TEST_CASE("a launch inside a launch runs inline", "[codegen][threads]") {
  ThreadPool pool(2);
  struct Outer {
    ThreadPool* pool;
    std::atomic<int> good{0};
  } outer{&pool};
  pool.parallel_for(
      8, 1,
      [](const void* context, std::int64_t begin, std::int64_t end, std::int32_t) {
        auto& o = *static_cast<Outer*>(const_cast<void*>(context));
        for (std::int64_t i = begin; i < end; ++i) {
          Work inner(100);
          o.pool->parallel_for(100, 1, Work::body, &inner);
          o.good += inner.is_done_once() && inner.calls == 1;
        }
      },
      &outer);
  CHECK(outer.good == 8);
}

TEST_CASE("several threads launch at once", "[codegen][threads]") {
  ThreadPool pool(3);
  std::vector<std::thread> users;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    users.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        Work work(300);
        pool.parallel_for(300, 10, Work::body, &work);
        good += work.is_done_once();
      }
    });
  }
  for (int threads = 1; threads < 5; ++threads) pool.set_threads(threads);  // also while they run
  for (std::thread& user : users) user.join();
  CHECK(good == 2000);
}

TEST_CASE("the number of threads can change", "[codegen][threads]") {
  ThreadPool pool(1);
  for (const int threads : {4, 2, 1, 3}) {
    pool.set_threads(threads);
    CHECK(pool.threads() == threads);
    Work work(5000);
    pool.parallel_for(5000, 1, Work::body, &work);
    CHECK(work.is_done_once());
  }
  CHECK_THROWS_AS(pool.set_threads(0), ValueError);
  CHECK_THROWS_AS(pool.set_threads(1000000), ValueError);
  CHECK(pool.threads() == 3);
  CHECK_THROWS_AS(ThreadPool(-1), ValueError);
}

TEST_CASE("paused workers still work", "[codegen][threads]") {
  ThreadPool pool(2);
  pool.pause();
  for (int i = 0; i < 50; ++i) {
    Work work(1000);
    pool.parallel_for(1000, 10, Work::body, &work);
    CHECK(work.is_done_once());
  }
  pool.resume();
}

TEST_CASE("the default number of threads is that of the cores allowed", "[codegen][threads]") {
  CHECK(available_cores() >= 1);
  CHECK(available_cores() <= static_cast<int>(std::thread::hardware_concurrency()));
}

#if !defined(CROTON_SANITIZED)
TEST_CASE("the child of a fork works without workers", "[codegen][threads]") {
  ThreadPool& pool = ThreadPool::instance();
  Work before(1000);
  pool.parallel_for(1000, 1, Work::body, &before);
  const ::pid_t child = ::fork();
  if (child == 0) {
    Work work(1000);
    pool.parallel_for(1000, 1, Work::body, &work);
    ::_exit(work.is_done_once() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}
#endif
