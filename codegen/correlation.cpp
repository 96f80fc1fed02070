#include "croton/codegen/correlation.h"

#include <algorithm>
#include <numeric>

namespace croton {

namespace {

CorrelationAxis forward_axis(const ConvProblem& p, std::size_t axis) {
  CorrelationAxis result;
  result.source = p.image[axis];
  result.result = p.out[axis];
  AxisPhase phase;
  phase.count = p.out[axis];
  phase.stride = p.stride[axis];
  phase.taps = p.kernel[axis];
  phase.offset = -p.pad_lo[axis];
  phase.offset_step = p.dilation[axis];
  result.phases.push_back(phase);
  return result;
}

/// x receives from y = (x + pad - k * dilation) / stride for every k that divides: with x = q * stride + r
/// the k are an arithmetic progression, and y runs with q.
CorrelationAxis backward_axis(const ConvProblem& p, std::size_t axis) {
  const std::int64_t stride = p.stride[axis], dilation = p.dilation[axis];
  const std::int64_t common = std::gcd(stride, dilation);
  CorrelationAxis result;
  result.source = p.out[axis];
  result.result = p.image[axis];
  for (std::int64_t r = 0; r < std::min(stride, p.image[axis]); ++r) {
    AxisPhase phase;
    phase.first = r;
    phase.step = stride;
    phase.count = (p.image[axis] - r + stride - 1) / stride;
    const std::int64_t shifted = r + p.pad_lo[axis];
    phase.kernel_step = stride / common;
    phase.offset_step = -dilation / common;
    while (phase.kernel < phase.kernel_step && (shifted - phase.kernel * dilation) % stride != 0) {
      ++phase.kernel;
    }
    if (phase.kernel < phase.kernel_step && phase.kernel < p.kernel[axis]) {
      phase.taps = (p.kernel[axis] - phase.kernel + phase.kernel_step - 1) / phase.kernel_step;
      phase.offset = (shifted - phase.kernel * dilation) / stride;
    }
    result.phases.push_back(phase);
  }
  return result;
}

}  // namespace

std::int64_t CorrelationAxis::lowest() const {
  std::int64_t least = 0;
  for (const AxisPhase& p : phases) {
    if (p.taps == 0 || p.count == 0) continue;
    least = std::min(least, p.offset + std::min<std::int64_t>(0, (p.taps - 1) * p.offset_step));
  }
  return least;
}

std::int64_t CorrelationAxis::highest() const {
  std::int64_t most = source - 1;
  for (const AxisPhase& p : phases) {
    if (p.taps == 0 || p.count == 0) continue;
    most = std::max(
        most, (p.count - 1) * p.stride + p.offset + std::max<std::int64_t>(0, (p.taps - 1) * p.offset_step));
  }
  return most;
}

CorrelationAxis correlation_axis(const ConvProblem& p, std::size_t axis) {
  return p.direction == ConvDirection::forward ? forward_axis(p, axis) : backward_axis(p, axis);
}

Correlation correlation_of(const ConvProblem& p) {
  const bool is_forward = p.direction == ConvDirection::forward;
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  const std::int64_t kernel = p.kernel[0] * p.kernel[1];
  Correlation c;
  c.batch = p.batch;
  c.groups = p.groups;
  c.sources = is_forward ? channels : filters;
  c.results = is_forward ? filters : channels;
  c.rows = correlation_axis(p, 0);
  c.columns = correlation_axis(p, 1);
  c.weights.group = filters * channels * kernel;
  c.weights.result = is_forward ? channels * kernel : kernel;
  c.weights.source = is_forward ? kernel : channels * kernel;
  c.weights.row = p.flip ? -p.kernel[1] : p.kernel[1];
  c.weights.column = p.flip ? -1 : 1;
  c.weights.base = p.flip ? kernel - 1 : 0;
  c.dtype = p.dtype;
  return c;
}

}  // namespace croton
