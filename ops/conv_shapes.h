#pragma once

#include <optional>

#include "croton/graph/op.h"
#include "croton/ops/conv_problem.h"

namespace croton {

/// As conv_problem(), but any extent may be unknown: what follows from the others is filled in, what they
/// contradict is a ShapeError. ValueError for attributes that make no convolution.
ConvProblem resolve_conv(ConvDirection direction, const Attributes& attributes, const Shape& first,
                         const Shape& second, const Shape& extents, DType dtype);

/// The direction of an abstract convolution, or nothing for another op.
std::optional<ConvDirection> conv_direction(const Op& op);

}  // namespace croton
