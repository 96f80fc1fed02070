#pragma once

#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/conv_problem.h"

namespace croton {

// The concrete convolutions, which the optimizer puts in the place of the abstract ones once all shapes are
// known: how it is computed, not only what. Operands by attribute `direction`: "forward" (image, filters),
// "backward_inputs" (filters, output gradient), "backward_weights" (image, output gradient). Beside the
// attributes of the abstract op a backward one has `extents`, the spatial extents of its result.

/// The vendor's: oneDNN's, on a GPU cuDNN's. There the attribute `algo` says by which of its algorithms or
/// how one is chosen (without: by measurement), `or_none` that another is taken where the library refuses it;
/// `compute_precision` as the flag dnn.conv.precision; `workspace` bounds it in MiB. The algorithm "graph" is
/// the fastest of the engines that cuDNN has for a graph of one convolution.
CROTON_API const Op& dnn_conv_op();
/// The Toeplitz matrix of the image (im2col) and matrix products; on a GPU one product that gathers its
/// operands. There the attribute `arithmetic` says how factors are multiplied ("tf32x3"; see
/// codegen/cuda_contraction.h), `cut` which of several cuts into tiles is taken, and with `folded` the
/// inputs' gradient is made of products for every output and tap, which are added up (col2im).
CROTON_API const Op& corr_mm_op();
/// Direct loops, generated for the problem. On a GPU the filters' gradient may have the attribute `maxima`:
/// behind the convolution stands a pooling by maxima of windows of these {rows, columns}, side by side. The
/// second operand is the gradient of the maxima then, and a third their places (max_pool_places_op()).
CROTON_API const Op& direct_conv_op();
/// Winograd's minimal filtering; the attribute `tile` says how much of the result is computed at once.
CROTON_API const Op& winograd_conv_op();
/// Products of spectra; the attribute `tile` gives the lengths of the transforms.
CROTON_API const Op& fft_conv_op();

/// Direct loops over tensors in c01b: images [channels, rows, columns, batch], filters [channels / groups,
/// rows, columns, filters], output [filters, rows, columns, batch].
CROTON_API const Op& c01b_conv_op();

/// cuDNN's over tensors whose channels lie last (b01c), by one of the engines of its graphs: the fastest, as
/// measured.
CROTON_API const Op& dnn_b01c_conv_op();

/// The windows {rows, columns} that the attribute `maxima` says; empty without.
CROTON_API Shape conv_maxima(const Attributes& attributes);

/// How the operands of one of these ops lie.
CROTON_API ConvLayout conv_layout_of(const Op& op);

/// The problem of a node of one of these ops.
CROTON_API ConvProblem concrete_conv_problem(const Node& node);

/// One of these ops for a problem, whose `attributes` (those of the abstract node) say the same.
CROTON_API Variable apply_concrete_conv(const Op& op, const ConvProblem& problem, const Variable& first,
                                        const Variable& second, const Attributes& attributes);

}  // namespace croton
