#pragma once

#include <cstdint>
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
  std::vector<int> pad_behind = {};  ///< `pad` is that in front
};

/// What paddings in front of and behind an axis may be: its named algorithms pad both ends alike, graphs do
/// not ask for it.
enum class CudnnPadding : std::uint8_t { alike, apart };

/// Nothing, and why in `reason`, for what cuDNN cannot compute: empty operands, other padding than it may
/// have, 2^31 elements and more. A problem of one spatial axis gets one of extent 1 in front.
CROTON_API std::optional<CudnnProblem> cudnn_problem(const ConvProblem& problem, std::string& reason,
                                                     CudnnPadding padding = CudnnPadding::alike);

/// The strides of a C-contiguous tensor.
CROTON_API std::vector<int> packed_strides(const std::vector<int>& extents);

}  // namespace croton
