#pragma once

#include <random>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/conv_problem.h"

namespace croton::test {

/// A convolution in one direction with its operands.
struct ConcreteConvCase {
  ConvProblem problem;
  Attributes attributes;  // of the abstract op
  Tensor first, second;

  /// As a node of a concrete implementation (ops/conv_implementations.h).
  Variable node(const Op& implementation) const;
};

/// Any options, small and sometimes degenerate shapes: extents of 1, primes, empty batches, padding wider
/// than the kernel, strides wider than the kernel, one or many images. `rank`: spatial axes.
ConcreteConvCase random_concrete_conv(std::mt19937& random, DType dtype = DType::float32, int rank = 2);
/// A case of given numbers.
ConcreteConvCase concrete_conv(ConvDirection direction, const Shape& image, const Shape& filters,
                               std::int64_t pad = 0, std::int64_t stride = 1, std::int64_t dilation = 1,
                               std::int64_t groups = 1, bool flip = true, DType dtype = DType::float32);

/// Fails the test case where the result differs from conv_reference by more than rounding.
void check_conv(const ConcreteConvCase& c, const Tensor& result);

/// Uniform numbers between -1 and 1.
Tensor uniform_tensor(const Shape& shape, DType dtype, std::mt19937& random);

}  // namespace croton::test
