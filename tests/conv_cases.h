#pragma once

#include <random>

#include "croton/graph/tensor.h"
#include "croton/ops/conv.h"
#include "croton/ops/conv_problem.h"

namespace croton::test {

/// A random 2-D convolution: operands' shapes and options, every border mode, with degenerate sizes among
/// them.
struct ConvCase {
  Shape image;    // [batch, channels, rows, columns]
  Shape filters;  // [filters, channels / groups, rows, columns]
  ConvOptions options;
};

inline std::int64_t pick(std::mt19937& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

/// Always a valid problem: the (dilated) filter fits into the padded image. `largest` bounds the extents.
inline ConvCase random_conv_case(std::mt19937& random, std::int64_t largest = 8) {
  ConvCase c;
  const std::int64_t groups = random() % 3 == 0 ? pick(random, 2, 3) : 1;
  const std::int64_t channels = random() % 12 == 0 && groups == 1 ? 0 : pick(random, 1, 3);
  const std::int64_t filters = random() % 12 == 0 ? 0 : pick(random, 1, 3);
  c.options.num_groups = groups;
  c.options.filter_flip = random() % 2;
  c.options.subsample = {pick(random, 1, 3), pick(random, 1, 3)};
  if (random() % 2) c.options.subsample = {1, 1};
  c.options.filter_dilation = {pick(random, 1, 2), pick(random, 1, 3)};
  if (random() % 2) c.options.filter_dilation = {1, 1};
  c.filters = {groups * filters, channels, pick(random, 1, 4), pick(random, 1, 4)};
  c.image = {random() % 12 == 0 ? 0 : pick(random, 1, 3), groups * channels, 0, 0};

  std::array<std::array<std::int64_t, 2>, 2> pads{};
  const auto dilated = [&](std::size_t axis) {
    return (c.filters[2 + axis] - 1) * c.options.filter_dilation[axis] + 1;
  };
  switch (random() % 6) {
    case 0:
      c.options.border_mode = "full";
      for (std::size_t a = 0; a < 2; ++a) pads[a] = {dilated(a) - 1, dilated(a) - 1};
      break;
    case 1:
      c.options.border_mode = "half";
      for (std::size_t a = 0; a < 2; ++a) pads[a] = {dilated(a) / 2, dilated(a) / 2};
      break;
    case 2: {
      const std::int64_t pad = pick(random, 0, 3);
      c.options.border_mode = static_cast<int>(pad);
      pads = {{{pad, pad}, {pad, pad}}};
      break;
    }
    case 3: {
      for (auto& axis : pads) axis[0] = axis[1] = pick(random, 0, 3);
      c.options.border_mode = {pads[0][0], pads[1][0]};
      break;
    }
    case 4: {
      for (auto& axis : pads) axis = {pick(random, 0, 3), pick(random, 0, 3)};
      c.options.border_mode = {{pads[0][0], pads[0][1]}, {pads[1][0], pads[1][1]}};
      break;
    }
    default:
      break;
  }
  for (std::size_t a = 0; a < 2; ++a) {
    const std::int64_t least = std::max<std::int64_t>(0, dilated(a) - pads[a][0] - pads[a][1]);
    c.image[2 + a] = pick(random, least, std::max(least, largest));
  }
  return c;
}

/// Whole numbers, so that sums are exact whatever their order.
inline Tensor small_integers(std::mt19937& random, const Shape& shape, DType dtype) {
  Tensor result = Tensor::empty(shape, DType::float64);
  for (std::int64_t i = 0; i < result.size(); ++i) {
    result.data<double>()[i] = static_cast<double>(pick(random, -4, 4));
  }
  return result.astype(dtype);
}

}  // namespace croton::test
