#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/variable.h"

namespace croton {

// The abstract convolutions: what is computed, not how. Attributes of all three: `border_mode` ("valid",
// "full", "half" or the list lo, hi of each axis), `subsample`, `dilation`, `num_groups`, `filter_flip`, and,
// only where the user gave them, `unshared`, `version`, `unroll_batch`, `unroll_kern`, `unroll_patch`,
// `openmp`, and of dnn_conv `compute_precision`, `workspace`.

/// conv2d(x[b,c,h,w], w[o,c/groups,kh,kw]) -> [b,o,oh,ow].
CROTON_API const Op& conv2d_op();
/// conv2d_grad_inputs(w, gy, h, w): the gradient with respect to x, whose spatial extents are the int64
/// scalars.
CROTON_API const Op& conv2d_grad_inputs_op();
/// conv2d_grad_weights(x, gy, kh, kw): the gradient with respect to w.
CROTON_API const Op& conv2d_grad_weights_op();

/// Zeros around the image along one axis: as many on both sides, or in front and behind.
struct ConvPad {
  ConvPad(std::int64_t both) : lo(both), hi(both) {}
  ConvPad(std::int64_t lo, std::int64_t hi) : lo(lo), hi(hi) {}
  std::int64_t lo, hi;
};

/// "valid" (no padding), "full" (kernel - 1 on both sides), "half" (kernel / 2 on both sides; the dilated
/// kernel counts), a number for all axes, or a ConvPad an axis: {1, 2}, {{1, 2}, {0, 1}}.
class CROTON_API BorderMode {
 public:
  BorderMode(const char* name) : name_(name) {}
  BorderMode(std::string name) : name_(std::move(name)) {}
  BorderMode(int pad) : pads_{ConvPad(pad)} {}
  BorderMode(std::initializer_list<ConvPad> pads) : pads_(pads) {}
  BorderMode(std::vector<ConvPad> pads) : pads_(std::move(pads)) {}

  /// As the attribute `border_mode` of an op with that many spatial axes. Throws ValueError.
  AttributeValue attribute(int rank) const;

 private:
  std::string name_;
  std::vector<ConvPad> pads_;
};

struct ConvOptions {
  /// What is known of the shapes; `unknown` entries are open. A value that contradicts is a ShapeError.
  std::optional<Shape> input_shape = std::nullopt;
  std::optional<Shape> filter_shape = std::nullopt;
  BorderMode border_mode = "valid";
  std::vector<std::int64_t> subsample = {1, 1};
  /// A mathematical convolution; false gives a correlation.
  bool filter_flip = true;
  std::vector<std::int64_t> filter_dilation = {1, 1};
  std::int64_t num_groups = 1;
  /// Every position of the output has filters of its own: [filters, output rows, output columns, channels /
  /// num_groups, rows, columns].
  bool unshared = false;
  /// "no_fft" keeps this convolution and its gradients away from fft; "dnn", "gemm", "legacy", "fft",
  /// "winograd", "c01b" or one of cuDNN's algorithms ("dnn_fft", see ops/cudnn_algorithm.h): that
  /// implementation and no other, an error where it refuses.
  std::string version = {};
  /// For the legacy implementation: how many images and filters of the batch it works on at once, whether it
  /// unrolls the loop over the filter's elements, whether it uses several threads.
  std::optional<std::int64_t> unroll_batch = std::nullopt;
  std::optional<std::int64_t> unroll_kern = std::nullopt;
  std::optional<bool> unroll_patch = std::nullopt;
  std::optional<bool> openmp = std::nullopt;
};

/// input [batch, channels, rows, columns] convolved with filters
/// [filters, channels / num_groups, rows, columns] (six axes where they are unshared). Each output extent is
/// (input + padding - dilated kernel) / subsample + 1, rounded down.
CROTON_API Variable conv2d(const Operand& input, const Operand& filters, const ConvOptions& options = {});
/// The gradient of conv2d with respect to its inputs of the shape `input_shape` (4 entries; symbolic rows and
/// columns are int64 scalars), given that of its output.
CROTON_API Variable conv2d_grad_wrt_inputs(const Operand& output_grad, const Operand& filters,
                                           const std::vector<Operand>& input_shape,
                                           const ConvOptions& options = {});
CROTON_API Variable conv2d_grad_wrt_weights(const Operand& input, const Operand& output_grad,
                                            const std::vector<Operand>& filter_shape,
                                            const ConvOptions& options = {});

}  // namespace croton
