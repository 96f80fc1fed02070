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
  for (int i = 0; i < random_cases(350); ++i) check_direct(random_concrete_conv(random));
}

TEST_CASE("generated direct convolutions of every floating dtype", "[codegen][conv]") {
  std::mt19937 random(21);
  for (const DType dtype : {DType::float64, DType::float16, DType::bfloat16}) {
    for (int i = 0; i < random_cases(25); ++i) check_direct(random_concrete_conv(random, dtype));
  }
}

TEST_CASE("the ways of unrolling give the same convolution", "[codegen][conv]") {
  std::mt19937 random(23);
  for (int i = 0; i < random_cases(100); ++i) {
    ConcreteConvCase c = random_concrete_conv(random);
    const auto flip = [&] { return random() % 2 == 0; };
    c.attributes = c.attributes.with("unroll_batch", flip() ? std::int64_t{1} : std::int64_t{16});
    if (flip()) c.attributes = c.attributes.with("unroll_kern", static_cast<std::int64_t>(random() % 20));
    if (flip()) c.attributes = c.attributes.with("unroll_patch", flip());
    if (flip()) c.attributes = c.attributes.with("openmp", flip());
    check_direct(c);
  }
}
