#include <catch2/catch.hpp>
#include <cmath>
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

TEST_CASE("depthwise convolutions, plane by plane", "[codegen][conv]") {
  std::mt19937 random(24);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  for (int i = 0; i < random_cases(150); ++i) {
    const DType dtypes[] = {DType::float32, DType::float32, DType::float64, DType::float16};
    const DType dtype = dtypes[pick(0, 3)];
    const auto direction = static_cast<ConvDirection>(pick(0, 2));
    const std::int64_t groups = pick(2, 9), dilation = pick(1, 3), rows = pick(1, 6), columns = pick(1, 6);
    const std::int64_t pad = pick(0, 9);
    const auto extent = [&](std::int64_t taps) {
      return std::max<std::int64_t>(1, (taps - 1) * dilation + 1 - 2 * pad) + pick(0, 40);
    };
    check_direct(concrete_conv(direction, {pick(1, 4), groups, extent(rows), extent(columns)},
                               {groups, 1, rows, columns}, pad, 1, dilation, groups, pick(0, 1) == 1, dtype));
  }
}

TEST_CASE("gradients of so many weights that their sums are not kept a vector each", "[codegen][conv]") {
  check_direct(concrete_conv(ConvDirection::backward_weights, {3, 90, 8, 8}, {90, 90, 3, 3}));
  check_direct(concrete_conv(ConvDirection::backward_weights, {17, 90, 5, 5}, {90, 90, 3, 3}));
}

TEST_CASE("an infinity reaches the weights that it meets", "[codegen][conv]") {
  // In the first column of the second row: no lane behind the end of the first row may multiply it.
  for (const std::int64_t groups : {1, 3}) {
    ConcreteConvCase c =
        concrete_conv(ConvDirection::backward_weights, {1, 3, 2, 20}, {3, 3 / groups, 1, 3}, 0, 1, 1, groups);
    c.first.data<float>()[20] = INFINITY;
    const Tensor expected = conv_reference(c.problem, c.first, c.second);
    const Tensor result = run_lowered(*c.node(direct_conv_op()).node(), {c.first, c.second})[0];
    for (std::int64_t i = 0; i < expected.size(); ++i)
      CHECK(std::isfinite(result.data<float>()[i]) == std::isfinite(expected.data<float>()[i]));
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
