#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "croton/graph/device.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor.h"
#include "croton/ops/conv_layout.h"

namespace croton {

enum class ConvDirection : std::uint8_t { forward, backward_inputs, backward_weights };

/// "forward", "backward_inputs", "backward_weights".
CROTON_API std::string to_string(ConvDirection direction);

/// How the operands of a convolution lie and its result is wanted.
struct ConvOperandLayouts {
  ConvLayout first = ConvLayout::bc01, second = ConvLayout::bc01, result = ConvLayout::bc01;
  friend bool operator==(const ConvOperandLayouts&, const ConvOperandLayouts&) = default;
};

/// One convolution with all its numbers. Image [batch, channels, image…], filters
/// [filters, channels / groups, kernel…] (where they are unshared [filters, out…, channels / groups,
/// kernel…]), output [batch, filters, out…]; `rank` spatial axes.
struct CROTON_API ConvProblem {
  ConvDirection direction = ConvDirection::forward;
  int rank = 2;
  std::int64_t batch = 0;
  std::int64_t channels = 0;
  std::int64_t filters = 0;
  std::int64_t groups = 1;
  Shape image;  // spatial extents, one an axis; so all below
  Shape kernel;
  Shape out;
  Shape pad_lo;  // zeros in front of each axis
  Shape pad_hi;  // and behind it
  Shape stride;
  Shape dilation;
  bool flip = true;       // a mathematical convolution; otherwise a correlation
  bool unshared = false;  // filters of its own for every position of the output
  DType dtype = DType::float32;
  Device device;        // where it is computed
  std::string version;  // the user's word on the choice (ConvOptions), or empty
  /// In the graph around it: what it costs to compute in another layout depends on it. Operands and result
  /// have the axes of bc01 in any case.
  ConvOperandLayouts layouts = {};

  /// (kernel - 1) * dilation + 1; 0 for an empty kernel.
  std::int64_t dilated_kernel(int axis) const;
  Shape image_shape() const;   // [batch, channels, image…]
  Shape filter_shape() const;  // [filters, channels / groups, kernel…], unshared with out… behind filters
  Shape out_shape() const;     // [batch, filters, out…]
  /// Where filter_shape() has the channels of a group.
  int channel_axis_of_filters() const { return unshared ? 1 + rank : 1; }
  /// Every channel by itself: one channel and one filter a group.
  bool is_depthwise() const { return groups > 1 && channels == groups && filters == groups; }
  bool has_strides() const;
  /// Multiplications and additions, counted as two.
  double flops() const;

  friend bool operator==(const ConvProblem&, const ConvProblem&) = default;
};

/// One line: every number, as logs and the ledger show it.
CROTON_API std::string to_string(const ConvProblem& problem);

/// The problem of a conv2d, conv2d_grad_inputs or conv2d_grad_weights node whose operands have static shapes;
/// InternalError otherwise.
CROTON_API ConvProblem conv_problem(const Node& node);
/// The same for given (known) operand shapes and attributes: forward (image, filters), backward_inputs
/// (filters, output gradient), backward_weights (image, output gradient). `extents`: the spatial extents of
/// the result of a backward direction. Throws ShapeError.
CROTON_API ConvProblem conv_problem(ConvDirection direction, const Attributes& attributes, const Shape& first,
                                    const Shape& second, const Shape& extents, DType dtype);

/// The attributes of a convolution that a problem has: the way back.
CROTON_API Attributes conv_attributes(const ConvProblem& problem);

/// The slow reference: direct loops, sums in double. Operands as in conv_problem; any strides.
CROTON_API Tensor conv_reference(const ConvProblem& problem, const Tensor& first, const Tensor& second);

}  // namespace croton
