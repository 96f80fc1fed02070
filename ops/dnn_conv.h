#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "croton/ops/conv.h"

namespace croton {

struct DnnConvOptions {
  BorderMode border_mode = "valid";
  std::vector<std::int64_t> subsample = {};  ///< empty: 1 along every axis
  std::vector<std::int64_t> dilation = {};   ///< likewise
  /// "conv" is a mathematical convolution, "cross" a correlation.
  std::string conv_mode = "conv";
  /// What it is computed as: "forward!" the forward pass in any case, "bprop weights" the gradient of filters
  /// (border_mode "valid", no strides); otherwise border_mode "full" without strides is the gradient of
  /// inputs, everything else the forward pass. Neither has dilation or groups.
  std::string direction_hint = {};
  /// An algorithm or how to choose one (ops/cudnn_algorithm.h); empty: what the flag dnn.conv.algo_fwd (or
  /// that of the gradient that it is computed as) says now. The gradients have those of the flags.
  std::string algo = {};
  /// The dtype in which it adds up, as the flag dnn.conv.precision; empty: what that says.
  std::string precision = {};
  std::optional<std::int64_t> workspace = std::nullopt;  ///< at most so many MiB
  std::int64_t num_groups = 1;
};

/// A convolution by the vendor's library and nothing else: on a GPU cuDNN, on the CPU oneDNN, which chooses
/// its algorithms itself. img [batch, channels, (time,) rows, columns], kerns [filters, channels /
/// num_groups, (time,) rows, columns]. Throws ValueError for words that are not known.
CROTON_API Variable dnn_conv(const Operand& img, const Operand& kerns, const DnnConvOptions& options = {});

}  // namespace croton
