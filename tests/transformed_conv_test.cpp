// Winograd and Fourier convolutions: their generated code against float64 sums, within the errors that the
// candidates state.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "concrete_conv.h"
#include "croton/codegen/fourier.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/conv_tiles.h"
#include "croton/optimizer/conv_candidate.h"
#include "lowered.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

/// The largest difference to the reference in float64, relative to the largest result; where there are few
/// results the largest of them may be small by chance, then to what a sum of so many terms typically is.
double error_of_conv(const ConcreteConvCase& c, const Tensor& result) {
  ConvProblem wide = c.problem;
  wide.dtype = DType::float64;
  const Tensor expected =
      conv_reference(wide, c.first.astype(DType::float64), c.second.astype(DType::float64));
  const Tensor got = result.astype(DType::float64);
  REQUIRE(got.shape() == expected.shape());
  double largest = std::sqrt(static_cast<double>(conv_terms(c.problem))) / 3, difference = 0;
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected.data<double>()[i]));
    const double d = std::abs(got.data<double>()[i] - expected.data<double>()[i]);
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
  }
  return difference == 0 ? 0 : difference / largest;
}

void check_candidate(const ConvCandidate& candidate, ConcreteConvCase c, std::mt19937& random) {
  if (candidate.support(c.problem).kind == Support::Kind::refuse) return;
  c.first = uniform_tensor(c.first.shape(), c.problem.dtype, random);
  c.second = uniform_tensor(c.second.shape(), c.problem.dtype, random);
  INFO(candidate.name << ": " << to_string(c.problem));
  const Variable node = candidate.build(c.problem, input_like(c.first), input_like(c.second), c.attributes);
  const std::vector<Tensor> results = run_lowered(*node.node(), {c.first, c.second});
  REQUIRE(results.size() == 1);
  // The reference adds up in float64 one after the other itself.
  const double of_reference = c.problem.dtype == DType::float64 ? sequential_error(c.problem) : 0;
  // In units of what is stated, so that a failure shows by how much.
  CHECK(error_of_conv(c, results[0]) / (candidate.error(c.problem) + of_reference) <= 1);
}

const ConvCandidate* const transformed[] = {&conv_winograd, &conv_winograd_4x4, &conv_fft, &conv_fft_tiling};

/// A random problem that these candidates may take: stride 1.
ConcreteConvCase random_case(std::mt19937& random, DType dtype, bool is_3x3) {
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  ConcreteConvCase c = random_concrete_conv(random, dtype);
  ConvProblem p = c.problem;
  std::vector<std::int64_t> pads;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    p.stride[axis] = 1;
    if (is_3x3) p.kernel[axis] = 3;
    p.image[axis] = pick(1, 40);
    for (Shape* pad : {&p.pad_lo, &p.pad_hi}) (*pad)[axis] = random() % 2 == 0 ? 0 : pick(0, 9);
    while (p.image[axis] + p.pad_lo[axis] + p.pad_hi[axis] < p.dilated_kernel(static_cast<int>(axis)))
      ++p.image[axis];
    pads.push_back(p.pad_lo[axis]);
    pads.push_back(p.pad_hi[axis]);
  }
  c.attributes = c.attributes.with("border_mode", pads).with("subsample", std::vector<std::int64_t>{1, 1});
  const ConvProblem forward =
      conv_problem(ConvDirection::forward, c.attributes, p.image_shape(), p.filter_shape(), {}, dtype);
  const ConvDirection direction = p.direction;
  c.problem = forward;
  c.problem.direction = direction;
  c.first =
      Tensor::empty(direction == ConvDirection::backward_inputs ? p.filter_shape() : p.image_shape(), dtype);
  c.second =
      Tensor::empty(direction == ConvDirection::forward ? p.filter_shape() : forward.out_shape(), dtype);
  return c;
}

}  // namespace

TEST_CASE("Winograd convolutions stay within their error", "[codegen][conv][winograd]") {
  std::mt19937 random(50);
  for (int i = 0; i < random_cases(30); ++i) {
    const ConcreteConvCase c = random_case(random, DType::float32, true);
    check_candidate(conv_winograd, c, random);
    check_candidate(conv_winograd_4x4, c, random);
  }
}

TEST_CASE("Fourier convolutions stay within their error", "[codegen][conv][fft]") {
  std::mt19937 random(51);
  for (int i = 0; i < random_cases(24); ++i) {
    const ConcreteConvCase c = random_case(random, DType::float32, false);
    check_candidate(conv_fft, c, random);
    check_candidate(conv_fft_tiling, c, random);
  }
}

TEST_CASE("convolutions in a transformed domain of every floating dtype", "[codegen][conv][fft][winograd]") {
  std::mt19937 random(52);
  for (const DType dtype : {DType::float64, DType::float16, DType::bfloat16}) {
    for (int i = 0; i < random_cases(4); ++i) {
      const ConcreteConvCase c = random_case(random, dtype, i % 2 == 0);
      for (const ConvCandidate* candidate : transformed) check_candidate(*candidate, c, random);
    }
  }
}

TEST_CASE("sums over many channels and tiles keep the error that is stated",
          "[codegen][conv][fft][winograd]") {
  std::mt19937 random(53);
  for (const ConvDirection direction :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    const ConcreteConvCase c = concrete_conv(direction, {3, 150, 14, 13}, {70, 150, 3, 3}, 1);
    for (const ConvCandidate* candidate : transformed) check_candidate(*candidate, c, random);
    const ConcreteConvCase large = concrete_conv(direction, {2, 9, 50, 70}, {5, 9, 9, 7}, 4);
    for (const ConvCandidate* candidate : transformed) check_candidate(*candidate, large, random);
  }
}

TEST_CASE("what winograd and fft refuse has a reason", "[optimizer][conv]") {
  ConvProblem p = concrete_conv(ConvDirection::forward, {2, 4, 20, 20}, {8, 4, 5, 5}, 0).problem;
  CHECK_THAT(conv_winograd.support(p).reason, Catch::Contains("winograd has 3 x 3"));
  CHECK(conv_fft.support(p).kind != Support::Kind::refuse);
  p.version = "no_fft";
  CHECK(conv_fft.support(p).reason == "version='no_fft'");
  p.stride = {2, 1};
  CHECK_THAT(conv_fft_tiling.support(p).reason, Catch::Contains("needs 1 everywhere"));
  p = concrete_conv(ConvDirection::forward, {1, 1, 90, 90}, {1, 1, 70, 3}, 0).problem;
  CHECK_THAT(conv_fft.support(p).reason, Catch::Contains("the longest transform has 64"));
}
