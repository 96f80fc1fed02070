#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/tensor.h"

namespace croton {

/// The attribute "axes" of a reduction that is about to be made, checked against its only input.
std::vector<std::int64_t> reduced_axes(std::string_view op, std::span<const Variable> inputs,
                                       const Attributes& attributes);
/// The shape that is left.
Shape without_axes(const Shape& shape, std::span<const std::int64_t> axes);
/// ShapeError when there is something to reduce to but nothing to reduce; says nothing where extents are
/// open.
void require_elements(std::string_view op, const Shape& shape, std::span<const std::int64_t> axes);
/// A view with the reduced axes behind the others, in order.
Tensor with_axes_last(const Tensor& x, std::span<const std::int64_t> axes);
/// "Sum{axis=[1]}", "Sum" over all axes: Theano's spelling.
std::string reduction_label(const Node& node);

}  // namespace croton
