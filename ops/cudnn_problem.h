#pragma once

#include <optional>
#include <string>
#include <vector>

#include "croton/ops/conv_problem.h"

namespace croton {

/// A convolution in cuDNN's numbers: [batch, channels, spatial…] of two or three spatial axes, C-contiguous.
struct CudnnProblem {
  std::vector<int> image, filters, output;
  std::vector<int> pad, stride, dilation;  ///< a number an axis
  int groups = 1;
  bool flip = false;
};

/// Nothing, and why in `reason`, for what cuDNN cannot compute: empty operands, different padding in front of
/// and behind an axis, 2^31 elements and more. A problem of one spatial axis gets one of extent 1 in front.
CROTON_API std::optional<CudnnProblem> cudnn_problem(const ConvProblem& problem, std::string& reason);

/// The strides of a C-contiguous tensor.
CROTON_API std::vector<int> packed_strides(const std::vector<int>& extents);

}  // namespace croton
