#pragma once

#include <cstdint>
#include <vector>

#include "croton/ops/conv_problem.h"

namespace croton {

/// Some elements of one axis of a result, first, first + step, … (`count` of them), and the elements of the
/// source that each of them sums over: for the q-th, tap j < taps multiplies source element
/// q * stride + offset + j * offset_step with kernel element kernel + j * kernel_step. Source elements
/// outside [0, extent of the source) are zeros.
struct AxisPhase {
  std::int64_t first = 0, step = 1, count = 0;
  std::int64_t stride = 1;
  std::int64_t taps = 0;
  std::int64_t offset = 0, offset_step = 1;
  std::int64_t kernel = 0, kernel_step = 1;
};

/// One axis of a correlation. A forward convolution has one phase; the gradient with respect to the inputs of
/// a convolution with stride s has s of them, each a dense correlation with every s-th kernel element, so
/// that no zero is multiplied.
struct CorrelationAxis {
  std::int64_t source = 0;  // extents
  std::int64_t result = 0;
  std::vector<AxisPhase> phases;

  /// The source elements that any result needs: [lowest, highest].
  std::int64_t lowest() const;
  std::int64_t highest() const;
};

/// result[n, g, f, y, x] = sum over c, taps of source[n, g, c, …] * weights[…]: the form that a convolution
/// and its gradient with respect to the inputs have in common. Both tensors are C-contiguous; the weight of
/// kernel element (k, l) lies at base + g * group + f * result + c * source + k * row + l * column.
struct Correlation {
  std::int64_t batch = 0;
  std::int64_t groups = 1;
  std::int64_t sources = 0;  // channels per group of the source
  std::int64_t results = 0;  // and of the result
  CorrelationAxis rows, columns;
  struct Weights {
    std::int64_t base = 0, group = 0, result = 0, source = 0, row = 0, column = 0;
  } weights;
  DType dtype = DType::float32;

  std::int64_t source_image() const { return groups * sources * rows.source * columns.source; }
  std::int64_t result_image() const { return groups * results * rows.result * columns.result; }
};

/// An axis of a forward or backward_inputs problem.
CorrelationAxis correlation_axis(const ConvProblem& problem, std::size_t axis);

/// Of a two-dimensional forward or backward_inputs problem.
Correlation correlation_of(const ConvProblem& problem);

}  // namespace croton
