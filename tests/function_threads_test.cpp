#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "croton/croton.h"

using namespace croton;

namespace {

/// Runs action(thread) on several threads and returns how many failed.
template <class Action>
int failures_of(int threads, const Action& action) {
  std::atomic<int> failures{0};
  std::vector<std::thread> list;
  for (int t = 0; t < threads; ++t) {
    list.emplace_back([&, t] {
      try {
        if (!action(t)) ++failures;
      } catch (const Error&) {
        ++failures;
      }
    });
  }
  for (std::thread& thread : list) thread.join();
  return failures;
}

}  // namespace

TEST_CASE("concurrent calls of one function", "[runtime][threads]") {
  const Variable x = matrix("x");
  const SharedVariable w = shared(Tensor::ones({4, 4}), "w");
  const Function f = function({x}, {sum(dot(x, w)), x * 2, tanh(x) + 1});
  const int failures = failures_of(6, [&](int t) {
    const std::int64_t rows = 3 + t % 3;  // several plans, made by whoever comes first
    const Tensor argument = Tensor::full({rows, 4}, static_cast<float>(t));
    bool good = true;
    std::vector<Tensor> kept;
    for (int i = 0; i < 100; ++i) {
      const Outputs results = f(argument);
      good = good && results[0].item<float>() == static_cast<float>(16 * rows * t);
      if (i % 10 == 0) kept.push_back(results[1]);
    }
    for (const Tensor& tensor : kept)
      good = good && equal(tensor, Tensor::full({rows, 4}, 2.f * static_cast<float>(t)));
    return good;
  });
  CHECK(failures == 0);
}

TEST_CASE("concurrent updates of shared variables", "[runtime][threads]") {
  SharedVariable a = shared(Tensor::zeros({64}), "a"), b = shared(Tensor::zeros({64}), "b");
  const Variable x = vector("x");
  const Function both = function({x}, a - b, {.updates = {{a, a + x}, {b, b + x}}});
  const Function swap = function({}, {}, {.updates = {{b, a}, {a, b}}});
  const Function read = function({}, sum(abs(a - b)));
  const Tensor ones = Tensor::ones({64});
  constexpr int threads = 6, calls = 60;
  const int failures = failures_of(threads, [&](int t) {
    bool good = true;
    for (int i = 0; i < calls; ++i) {
      if (t % 3 == 0) {
        good = good && equal(both(ones), Tensor::zeros({64}));
      } else if (t % 3 == 1) {
        swap();
      } else {
        good = good && read().item<float>() == 0;
        good = good && a.get_value().shape() == Shape{64};
      }
    }
    return good;
  });
  CHECK(failures == 0);
  CHECK(equal(a.get_value(), Tensor::full({64}, 2.f * calls)));
  CHECK(equal(b.get_value(), Tensor::full({64}, 2.f * calls)));
}

TEST_CASE("results may die on other threads", "[runtime][threads]") {
  const Variable x = vector("x");
  const Function f = function({x}, x + 1);
  const Tensor argument = Tensor::ones({8});
  for (int round = 0; round < 20; ++round) {
    std::vector<Outputs> results;
    for (int i = 0; i < 8; ++i) results.push_back(f(argument));
    const int failures = failures_of(4, [&](int t) {
      results[static_cast<std::size_t>(2 * t)] = Outputs();
      results[static_cast<std::size_t>(2 * t + 1)] = f(argument);
      return equal(results[static_cast<std::size_t>(2 * t + 1)].tensor(), Tensor::full({8}, 2.f));
    });
    REQUIRE(failures == 0);
  }
}

TEST_CASE("functions are made on several threads", "[runtime][threads]") {
  const int failures = failures_of(4, [](int t) {
    const Variable x = vector("x");
    Variable y = x;
    for (int i = 0; i <= t; ++i) y = y * 2 + i;
    const Function f = function({x}, {y, sum(y)});
    return f(Tensor::ones({5}))[0].shape() == Shape{5};
  });
  CHECK(failures == 0);
}
