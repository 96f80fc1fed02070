#include "croton/ops/conv_forms.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/ops/conv_arguments.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

void check_conv_rank(const Variable& x, int rank, const char* function, const char* name) {
  if (x.rank() != rank)
    throw TypeError(fmt::format("{}: {} has rank {}, got {}", function, name, rank, to_string(x.type())));
}

Conv3dOptions correlation_with_strides(const std::array<std::int64_t, 3>& d) {
  return {.subsample = {d[0], d[1], d[2]}, .filter_flip = false};
}

Variable channels_second(const Variable& x) { return x.dimshuffle({0, 4, 1, 2, 3}); }
Variable channels_last(const Variable& x) { return x.dimshuffle({0, 2, 3, 4, 1}); }
Variable added_bias(const Variable& y, const Variable& b) {
  return y + b.dimshuffle({'x', 'x', 'x', 'x', 0});
}

}  // namespace

namespace signal {

Variable conv2d(const Operand& input, const Operand& filters, const BorderMode& border_mode,
                const std::vector<std::int64_t>& subsample) {
  const LocationScope scope(input.where());
  const Variable &x = input.variable(), &w = filters.variable();
  for (const auto& [operand, name] : {std::pair{&x, "input"}, std::pair{&w, "filters"}}) {
    if (operand->rank() != 2 && operand->rank() != 3) {
      throw TypeError(
          fmt::format("signal::conv2d: {} has rank 2 or 3, got {}", name, to_string(operand->type())));
    }
  }
  // The images of the input are images, each filter gives a map.
  const Variable images = x.rank() == 2 ? x.dimshuffle({'x', 'x', 0, 1}) : x.dimshuffle({0, 'x', 1, 2});
  const Variable kernels = w.rank() == 2 ? w.dimshuffle({'x', 'x', 0, 1}) : w.dimshuffle({0, 'x', 1, 2});
  const Variable y = croton::conv2d(images, kernels, {.border_mode = border_mode, .subsample = subsample});
  if (x.rank() == 3 && w.rank() == 3) return y;
  if (x.rank() == 3) return y(all, 0);
  if (w.rank() == 3) return y(0);
  return y(0, 0);
}

}  // namespace signal

Variable conv3D(const Operand& V, const Operand& W, const Operand& b, const std::array<std::int64_t, 3>& d) {
  const LocationScope scope(V.where());
  check_conv_rank(V.variable(), 5, "conv3D", "V");
  check_conv_rank(W.variable(), 5, "conv3D", "W");
  check_conv_rank(b.variable(), 1, "conv3D", "b");
  const Variable y =
      conv3d(channels_second(V.variable()), channels_second(W.variable()), correlation_with_strides(d));
  return added_bias(channels_last(y), b.variable());
}

Variable convGrad3D(const Operand& V, const std::array<std::int64_t, 3>& d,
                    const std::vector<Operand>& W_shape, const Operand& dCdH) {
  const LocationScope scope(V.where());
  check_conv_rank(V.variable(), 5, "convGrad3D", "V");
  check_conv_rank(dCdH.variable(), 5, "convGrad3D", "dCdH");
  if (W_shape.size() != 5)
    throw ValueError(fmt::format("convGrad3D: W_shape has {} entries; it needs 5", W_shape.size()));
  const std::vector<Operand> shape = {W_shape[0], W_shape[4], W_shape[1], W_shape[2], W_shape[3]};
  return channels_last(conv3d_grad_wrt_weights(
      channels_second(V.variable()), channels_second(dCdH.variable()), shape, correlation_with_strides(d)));
}

Variable convTransp3D(const Operand& W, const Operand& b, const std::array<std::int64_t, 3>& d,
                      const Operand& H, const std::vector<Operand>& R_shape) {
  const LocationScope scope(W.where());
  const Variable &w = W.variable(), &h = H.variable();
  check_conv_rank(w, 5, "convTransp3D", "W");
  check_conv_rank(h, 5, "convTransp3D", "H");
  check_conv_rank(b.variable(), 1, "convTransp3D", "b");
  if (R_shape.size() != 3)
    throw ValueError(fmt::format("convTransp3D: R_shape has {} entries; it needs 3: rows, columns, times",
                                 R_shape.size()));
  const std::vector<Operand> shape = {h.shape(0), w.shape(4), R_shape[0], R_shape[1], R_shape[2]};
  const Variable r =
      conv3d_grad_wrt_inputs(channels_second(h), channels_second(w), shape, correlation_with_strides(d));
  return added_bias(channels_last(r), b.variable());
}

Variable conv2d_fft(const Operand& input, const Operand& filters, const std::optional<Shape>& image_shape,
                    const std::optional<Shape>& filter_shape, const BorderMode& border_mode,
                    bool pad_last_dim) {
  const LocationScope scope(input.where());
  ConvOptions options{.filter_shape = filter_shape, .border_mode = border_mode, .version = "fft"};
  if (!pad_last_dim) {
    options.input_shape = image_shape;
    return conv2d(input, filters, options);
  }
  const auto [x, w] = floating_pair(input, filters);
  check_conv_rank(x, 4, "conv2d_fft", "input");
  const Variable image = with_shape_hint(x, image_shape, "conv2d_fft", "image_shape");
  const Variable column = zeros({image.shape(0), image.shape(1), image.shape(2), 1}, image.dtype());
  return conv2d(join(3, {image, column}), w, options)(all, all, all, slice(0, -1));
}

Variable corr_mm(const Operand& input, const Operand& filters, ConvOptions options) {
  options.filter_flip = false;
  options.version = "gemm";
  return conv2d(input, filters, options);
}

Variable corr3d_mm(const Operand& input, const Operand& filters, Conv3dOptions options) {
  options.filter_flip = false;
  options.version = "gemm";
  return conv3d(input, filters, options);
}

namespace conv3d2d {

Variable conv3d(const Operand& signals, const Operand& filters, const BorderMode& border_mode) {
  const LocationScope scope(signals.where());
  check_conv_rank(signals.variable(), 5, "conv3d2d::conv3d", "signals");
  check_conv_rank(filters.variable(), 5, "conv3d2d::conv3d", "filters");
  const auto channels_first = [](const Variable& x) { return x.dimshuffle({0, 2, 1, 3, 4}); };
  return channels_first(croton::conv3d(channels_first(signals.variable()), channels_first(filters.variable()),
                                       {.border_mode = border_mode}));
}

}  // namespace conv3d2d

}  // namespace croton
