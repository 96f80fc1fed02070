#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "croton/ops/conv.h"

namespace croton {

// The abstract convolutions along three axes; attributes as those of conv2d, with three entries an axis list.

/// conv3d(x[b,c,t,h,w], w[o,c/groups,kt,kh,kw]) -> [b,o,ot,oh,ow].
CROTON_API const Op& conv3d_op();
/// conv3d_grad_inputs(w, gy, t, h, w) and conv3d_grad_weights(x, gy, kt, kh, kw), as for conv2d.
CROTON_API const Op& conv3d_grad_inputs_op();
CROTON_API const Op& conv3d_grad_weights_op();

/// As ConvOptions, along time (or depth), rows and columns.
struct Conv3dOptions {
  std::optional<Shape> input_shape = std::nullopt;
  std::optional<Shape> filter_shape = std::nullopt;
  BorderMode border_mode = "valid";
  std::vector<std::int64_t> subsample = {1, 1, 1};
  bool filter_flip = true;
  std::vector<std::int64_t> filter_dilation = {1, 1, 1};
  std::int64_t num_groups = 1;
  /// "no_fft" keeps this convolution and its gradients away from fft; "dnn", "gemm", "legacy", "fft" or
  /// "winograd": that implementation and no other, an error where it refuses.
  std::string version = {};
};

/// input [batch, channels, time, rows, columns] convolved with filters [filters, channels / num_groups, time,
/// rows, columns]; output extents as for conv2d.
CROTON_API Variable conv3d(const Operand& input, const Operand& filters, const Conv3dOptions& options = {});
/// Its gradients, given that of its output: as conv2d_grad_wrt_inputs and _weights, with shapes of 5 entries.
CROTON_API Variable conv3d_grad_wrt_inputs(const Operand& output_grad, const Operand& filters,
                                           const std::vector<Operand>& input_shape,
                                           const Conv3dOptions& options = {});
CROTON_API Variable conv3d_grad_wrt_weights(const Operand& input, const Operand& output_grad,
                                            const std::vector<Operand>& filter_shape,
                                            const Conv3dOptions& options = {});

/// The transpose of conv2d as a layer of its own: the gradient of a convolution with respect to its inputs,
/// whose shape is `output_shape`. input [batch, filters, rows, columns], filters [filters, channels /
/// num_groups, rows, columns]: the input's channels first, as in the convolution that it transposes.
/// border_mode, subsample and the rest are that convolution's.
CROTON_API Variable conv2d_transpose(const Operand& input, const Operand& filters,
                                     const std::vector<Operand>& output_shape,
                                     const ConvOptions& options = {});
/// Each channel convolved with depthwise filters [channels * m, 1, rows, columns], whose results a 1 x 1
/// convolution with pointwise filters [filters, channels * m, 1, 1] mixes. `options` are the depthwise
/// convolution's, but for num_groups, which is `channels`.
CROTON_API Variable separable_conv2d(const Operand& input, const Operand& depthwise_filters,
                                     const Operand& pointwise_filters, std::int64_t channels,
                                     const ConvOptions& options = {});
/// input [batch, channels, time] convolved with filters [filters, channels, time], padded in front so that no
/// output depends on later inputs: [batch, filters, time / subsample rounded up].
CROTON_API Variable causal_conv1d(const Operand& input, const Operand& filters, std::int64_t subsample = 1,
                                  bool filter_flip = true, std::int64_t filter_dilation = 1,
                                  std::int64_t num_groups = 1);

}  // namespace croton
