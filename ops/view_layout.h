#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "croton/graph/node.h"
#include "croton/graph/shape.h"
#include "croton/graph/tensor.h"

namespace croton {

/// How a view lies in the memory of what it is a view of.
struct ViewLayout {
  Shape shape;
  Shape strides;            // elements; 0 for the axes that dimshuffle adds
  std::int64_t offset = 0;  // elements from the input's first element
};

/// Where output 0 of a view node (dimshuffle, reshape, specify_shape, subtensor) lies when its input 0 lies
/// with these known extents and strides. `values` has one entry an input; those of the other inputs that are
/// no constants (the bounds of a slice) are needed, and an undefined tensor there gives nothing. Nothing too
/// where a reshape needs a copy. Throws ShapeError, IndexError as evaluate does.
CROTON_API std::optional<ViewLayout> view_layout(const Node& node, const Shape& shape, const Shape& strides,
                                                 std::span<const Tensor> values = {});

/// `x` seen through a layout of its own memory.
CROTON_API Tensor apply_view(const Tensor& x, const ViewLayout& layout);

}  // namespace croton
