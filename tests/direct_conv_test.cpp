#include <catch2/catch.hpp>
#include <random>

#include "concrete_conv.h"
#include "croton/ops/conv_implementations.h"
#include "lowered.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

void check_direct(const ConcreteConvCase& c) {
  INFO(to_string(c.problem));
  const Variable node = c.node(direct_conv_op());
  const std::vector<Tensor> results = run_lowered(*node.node(), {c.first, c.second});
  REQUIRE(results.size() == 1);
  check_conv(c, results[0]);
}

}  // namespace

TEST_CASE("generated direct convolutions agree with the reference", "[codegen][conv]") {
  std::mt19937 random(20);
  for (int i = 0; i < random_cases(700); ++i) check_direct(random_concrete_conv(random));
}

TEST_CASE("generated direct convolutions of every floating dtype", "[codegen][conv]") {
  std::mt19937 random(21);
  for (const DType dtype : {DType::float64, DType::float16, DType::bfloat16}) {
    for (int i = 0; i < random_cases(60); ++i) check_direct(random_concrete_conv(random, dtype));
  }
}
