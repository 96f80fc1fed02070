#include "croton/ops/conv3d.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/ops/conv_arguments.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

Attributes attributes_of(const Conv3dOptions& o) {
  const Attributes attributes = {{"border_mode", o.border_mode.attribute(3)},
                                 {"subsample", o.subsample},
                                 {"dilation", o.filter_dilation},
                                 {"num_groups", o.num_groups},
                                 {"filter_flip", o.filter_flip}};
  return with_conv_version(attributes, o.version, "conv3d");
}

}  // namespace

Variable conv3d(const Operand& input, const Operand& filters, const Conv3dOptions& options) {
  const LocationScope scope(input.where());
  const auto [x, w] = floating_pair(input, filters);
  return apply_op(conv3d_op(),
                  {with_shape_hint(x, options.input_shape, "conv3d", "input_shape"),
                   with_shape_hint(w, options.filter_shape, "conv3d", "filter_shape")},
                  attributes_of(options));
}

Variable conv3d_grad_wrt_inputs(const Operand& output_grad, const Operand& filters,
                                const std::vector<Operand>& input_shape, const Conv3dOptions& options) {
  const LocationScope scope(output_grad.where());
  const auto [gy, w] = floating_pair(output_grad, filters);
  const Variable like = with_shape_hint(w, options.filter_shape, "conv3d", "filter_shape");
  const Variable gx = apply_op(conv3d_grad_inputs_op(), with_extents(like, gy, input_shape, 5, "input_shape"),
                               attributes_of(options));
  return with_leading_extents(gx, input_shape, "conv3d", "input_shape");
}

Variable conv3d_grad_wrt_weights(const Operand& input, const Operand& output_grad,
                                 const std::vector<Operand>& filter_shape, const Conv3dOptions& options) {
  const LocationScope scope(input.where());
  const auto [x, gy] = floating_pair(input, output_grad);
  const Variable like = with_shape_hint(x, options.input_shape, "conv3d", "input_shape");
  const Variable gw =
      apply_op(conv3d_grad_weights_op(), with_extents(like, gy, filter_shape, 5, "filter_shape"),
               attributes_of(options));
  return with_leading_extents(gw, filter_shape, "conv3d", "filter_shape");
}

Variable conv2d_transpose(const Operand& input, const Operand& filters,
                          const std::vector<Operand>& output_shape, const ConvOptions& options) {
  return conv2d_grad_wrt_inputs(input, filters, output_shape, options);
}

Variable separable_conv2d(const Operand& input, const Operand& depthwise_filters,
                          const Operand& pointwise_filters, std::int64_t channels,
                          const ConvOptions& options) {
  if (options.num_groups != 1) {
    throw ValueError(
        fmt::format("separable_conv2d: num_groups is {}; it follows from the channels", options.num_groups));
  }
  ConvOptions depthwise = options;
  depthwise.num_groups = channels;
  return conv2d(conv2d(input, depthwise_filters, depthwise), pointwise_filters,
                {.filter_flip = options.filter_flip});
}

Variable causal_conv1d(const Operand& input, const Operand& filters, std::int64_t subsample, bool filter_flip,
                       std::int64_t filter_dilation, std::int64_t num_groups) {
  const LocationScope scope(input.where());
  const Variable &x = input.variable(), &w = filters.variable();
  if (x.rank() != 3 || w.rank() != 3) {
    throw TypeError(fmt::format("causal_conv1d takes tensors of rank 3, got {} and {}", to_string(x.type()),
                                to_string(w.type())));
  }
  const std::int64_t taps = w.type().shape[2];
  ConvOptions options{.subsample = {1, subsample},
                      .filter_flip = filter_flip,
                      .filter_dilation = {1, filter_dilation},
                      .num_groups = num_groups};
  if (taps == unknown) {
    options.border_mode = "full";
  } else {
    options.border_mode = {{0, 0}, {(taps - 1) * filter_dilation, 0}};
  }
  // A plane of one row.
  const Variable y =
      conv2d(x.dimshuffle({0, 1, 'x', 2}), w.dimshuffle({0, 1, 'x', 2}), options).dimshuffle({0, 1, 3});
  if (taps != unknown) return y;
  // Padded on both sides, for how far is not known: what lies behind the last input goes.
  return y(all, all, slice(0, floor_div(x.shape(2) + (subsample - 1), subsample)));
}

}  // namespace croton
