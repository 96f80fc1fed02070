#include "croton/graph/shape.h"

#include <fmt/format.h>

#include "croton/graph/error.h"

namespace croton {

void throw_too_many_axes(std::size_t rank) {
  throw TypeError(fmt::format("a tensor has at most {} axes, not {}", max_rank, rank));
}

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] == unknown ? std::string("?") : fmt::format("{}", shape[i]);
  }
  if (shape.size() == 1) text += ',';
  return text + ')';
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = Shape::filled(shape.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

}  // namespace croton
