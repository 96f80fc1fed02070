#include <catch2/catch.hpp>

#include "croton/croton.h"

using namespace croton;
using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("the watch for allocations proves that a loop allocates nothing", "[cpu][runtime][check][memory]") {
  const ConfigScope scope({{"allocations", "raise"}});
  const Variable x = matrix("x");
  SharedVariable w = shared(Tensor::ones({3, 4}), "w");
  const Function f = function({x}, sum(tanh(dot(x, w))), {.updates = {{w, w * 0.5}}, .name = "f"});
  const Tensor a = Tensor::ones({2, 3}), b = Tensor::ones({5, 3});
  for (int i = 0; i < 5; ++i) CHECK_NOTHROW(f(a));
  for (int i = 0; i < 5; ++i) CHECK_NOTHROW(f(b));  // other shapes warm up anew

  std::vector<Outputs> kept;
  const auto keep = [&] {
    for (int i = 0; i < 5; ++i) kept.push_back(f(a));
  };
  CHECK_THROWS_AS(keep(), SteadyStateError);
  kept.clear();
  CHECK_THROWS_WITH(keep(),
                    StartsWith("function 'f' allocated 1 block of memory in a call after its 2 first") &&
                        Contains("earlier results are still held"));
}

TEST_CASE("the watch for allocations names the nodes that the reference evaluator computes",
          "[runtime][check][memory]") {
  const ConfigScope scope({{"allocations", "raise"}});
  const Variable x = vector("x");
  const Function f = function({x}, sum(assert_op(x, ge(x, 0), "positive")), {.name = "f"});
  const auto loop = [&] {
    for (int i = 0; i < 5; ++i) f(Tensor{1.f, 2.f});
  };
  CHECK_THROWS_WITH(loop(), Contains("the reference evaluator allocates for Assert{msg='positive'}, made at "
                                     "steady_watch_test.cpp:"));
}
