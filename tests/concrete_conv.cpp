#include "concrete_conv.h"

#include <random>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "croton/ops/conv_implementations.h"
#include "lowered.h"
#include "nodes.h"

namespace croton::test {

namespace {

ConcreteConvCase make_case(ConvDirection direction, const Shape& image, const Shape& filters,
                           const Attributes& attributes, DType dtype, unsigned seed) {
  ConcreteConvCase c;
  c.attributes = attributes;
  const ConvProblem forward = conv_problem(ConvDirection::forward, attributes, image, filters, {}, dtype);
  c.problem = forward;
  c.problem.direction = direction;
  const bool has_image = direction != ConvDirection::backward_inputs;
  c.first = random_tensor(has_image ? image : filters, dtype, seed);
  c.second =
      random_tensor(direction == ConvDirection::forward ? filters : forward.out_shape(), dtype, seed + 1);
  return c;
}

Attributes attributes_of(const std::vector<std::int64_t>& pads, const std::vector<std::int64_t>& stride,
                         const std::vector<std::int64_t>& dilation, std::int64_t groups, bool flip) {
  return Attributes({{"border_mode", AttributeValue(pads)},
                     {"subsample", AttributeValue(stride)},
                     {"dilation", AttributeValue(dilation)},
                     {"num_groups", AttributeValue(groups)},
                     {"filter_flip", AttributeValue(flip)}});
}

}  // namespace

Variable ConcreteConvCase::node(const Op& implementation) const {
  return apply_concrete_conv(implementation, problem, input_like(first), input_like(second), attributes);
}

ConcreteConvCase concrete_conv(ConvDirection direction, const Shape& image, const Shape& filters,
                               std::int64_t pad, std::int64_t stride, std::int64_t dilation,
                               std::int64_t groups, bool flip, DType dtype) {
  const std::size_t rank = image.size() - 2;
  using Numbers = std::vector<std::int64_t>;
  return make_case(
      direction, image, filters,
      attributes_of(Numbers(2 * rank, pad), Numbers(rank, stride), Numbers(rank, dilation), groups, flip),
      dtype, 3);
}

ConcreteConvCase random_concrete_conv(std::mt19937& random, DType dtype, int rank) {
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  const auto one_in = [&](int n) { return pick(1, n) == 1; };
  const auto direction = static_cast<ConvDirection>(pick(0, 2));
  const std::int64_t groups = one_in(3) ? pick(2, 4) : 1;
  const bool is_depthwise = one_in(6);
  const bool is_empty = one_in(40);
  const std::int64_t channels = is_empty ? 0 : is_depthwise ? groups : groups * pick(1, one_in(8) ? 20 : 5);
  const std::int64_t filters = one_in(40) ? 0 : groups * pick(1, one_in(8) ? 36 : 9);
  const std::int64_t batch = one_in(12) ? 0 : one_in(3) ? pick(1, 3) : pick(4, 40);
  std::vector<std::int64_t> pads, stride, dilation;
  Shape image{batch, channels}, kernel{filters, channels / groups};
  const std::int64_t most_taps = rank == 3 ? 3 : 5, most_more = rank == 3 ? 5 : 19;
  for (int axis = 0; axis < rank; ++axis) {
    const std::int64_t taps = rank < 3 && one_in(10) ? pick(6, 14) : pick(1, most_taps);
    dilation.push_back(one_in(3) ? pick(2, 3) : 1);
    stride.push_back(one_in(2) ? 1 : pick(2, 4));
    const std::int64_t reach = (taps - 1) * dilation.back() + 1;
    const bool wide = one_in(8);
    for (int side = 0; side < 2; ++side) {
      pads.push_back(one_in(2) ? 0
                     : wide    ? pick(0, 2 * reach)
                               : pick(0, std::max<std::int64_t>(0, reach - 1)));
    }
    const std::int64_t padding = pads[pads.size() - 2] + pads.back();
    const std::int64_t least = std::max<std::int64_t>(1, reach - padding);
    image.push_back(one_in(4) ? least : least + pick(0, most_more));
    kernel.push_back(taps);
  }
  return make_case(direction, image, kernel, attributes_of(pads, stride, dilation, groups, one_in(2)), dtype,
                   static_cast<unsigned>(random()));
}

void check_conv(const ConcreteConvCase& c, const Tensor& result) {
  const Tensor expected = conv_reference(c.problem, c.first, c.second);
  REQUIRE(result.shape() == expected.shape());
  REQUIRE(result.dtype() == expected.dtype());
  double largest = 0;
  const Tensor wide = expected.astype(DType::float64);
  for (std::int64_t i = 0; i < wide.size(); ++i)
    largest = std::max(largest, std::abs(wide.data<double>()[i]));
  const double step = c.problem.dtype == DType::float64    ? 1e-13
                      : c.problem.dtype == DType::float32  ? 4e-6
                      : c.problem.dtype == DType::bfloat16 ? 1e-2
                                                           : 2e-3;
  CHECK(allclose(result, expected, step, step * largest));
}

Tensor uniform_tensor(const Shape& shape, DType dtype, std::mt19937& random) {
  Tensor values = Tensor::empty(shape, DType::float64);
  std::uniform_real_distribution<double> between(-1, 1);
  for (std::int64_t i = 0; i < values.size(); ++i) values.data<double>()[i] = between(random);
  return values.astype(dtype);
}

}  // namespace croton::test
