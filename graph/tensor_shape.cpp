#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"

namespace croton {

int Tensor::normalized_axis(int axis) const {
  if (axis < -rank() || axis >= rank())
    throw IndexError(
        fmt::format("axis {} does not exist in the tensor of shape {}", axis, to_string(shape_)));
  return axis < 0 ? axis + rank() : axis;
}

bool Tensor::is_contiguous() const {
  std::int64_t stride = 1;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    if (shape_[i] == 0) return true;
  }
  for (std::size_t i = shape_.size(); i-- > 0;) {
    if (shape_[i] != 1 && strides_[i] != stride) return false;
    stride *= shape_[i];
  }
  return true;
}

Tensor Tensor::reshape(const Shape& wanted) const {
  Shape shape = wanted;
  int open = -1;
  std::int64_t known = 1;
  bool empty = false;
  auto misfit = [&] {
    return ShapeError(fmt::format("cannot reshape a tensor of shape {} ({} elements) to {}",
                                  to_string(shape_), size(), to_string(wanted)));
  };
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && open < 0) {
      open = i;
    } else if (shape[i] < 0) {
      throw ShapeError(fmt::format("reshape to {}: one extent may be -1, the others must not be negative",
                                   to_string(wanted)));
    } else if (shape[i] == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(known, shape[i], &known)) {
      throw misfit();
    }
  }
  if (empty) known = 0;
  if (open >= 0 && known != 0) shape[open] = size() / known;
  // A -1 beside a 0 could be anything.
  if (open >= 0 ? known == 0 || shape[open] * known != size() : known != size()) throw misfit();
  Tensor result = contiguous();
  result.shape_ = shape;
  result.strides_ = contiguous_strides(shape);
  return result;
}

Tensor Tensor::transpose(const Shape& axes) const {
  Tensor result = *this;
  std::uint32_t seen = 0;
  bool ok = axes.rank() == rank();
  for (int i = 0; ok && i < rank(); ++i) {
    const std::int64_t axis = axes[i] < 0 ? axes[i] + rank() : axes[i];
    ok = axis >= 0 && axis < rank() && !(seen >> axis & 1u);
    if (!ok) break;
    seen |= 1u << axis;
    result.shape_[i] = shape_[axis];
    result.strides_[i] = strides_[axis];
  }
  if (!ok)
    throw ValueError(fmt::format("transpose: {} is not an order of the axes of a tensor of shape {}",
                                 to_string(axes), to_string(shape_)));
  return result;
}

Tensor Tensor::transpose() const {
  Tensor result = *this;
  std::reverse(result.shape_.begin(), result.shape_.end());
  std::reverse(result.strides_.begin(), result.strides_.end());
  return result;
}

Tensor Tensor::slice(int axis, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                     std::int64_t step) const {
  axis = normalized_axis(axis);
  if (step == 0) throw ValueError("a slice's step must not be 0");
  const std::int64_t extent = shape_[axis];
  const std::int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? extent : extent - 1;
  auto clip = [&](std::int64_t at) { return std::clamp(at < 0 ? at + extent : at, lowest, highest); };
  const std::int64_t from = start ? clip(*start) : (step > 0 ? lowest : highest);
  const std::int64_t to = stop ? clip(*stop) : (step > 0 ? highest : lowest);
  std::int64_t count = 0;
  if (step > 0 && to > from) count = (to - from - 1) / step + 1;
  if (step < 0 && to < from) count = (to - from + 1) / step + 1;
  Tensor result = *this;
  result.shape_[axis] = count;
  result.strides_[axis] = count > 1 ? strides_[axis] * step : strides_[axis];
  if (count > 0) result.data_ += from * strides_[axis] * static_cast<std::int64_t>(size_of(dtype_));
  return result;
}

Tensor Tensor::select(int axis, std::int64_t index) const {
  axis = normalized_axis(axis);
  const std::int64_t at = index < 0 ? index + shape_[axis] : index;
  if (at < 0 || at >= shape_[axis])
    throw IndexError(fmt::format("index {} is out of bounds for axis {} of the tensor of shape {}", index,
                                 axis, to_string(shape_)));
  Tensor result = *this;
  result.data_ += at * strides_[axis] * static_cast<std::int64_t>(size_of(dtype_));
  result.shape_.erase(static_cast<std::size_t>(axis));
  result.strides_.erase(static_cast<std::size_t>(axis));
  return result;
}

Tensor Tensor::broadcast_to(const Shape& shape) const {
  Tensor result = *this;
  result.shape_ = shape;
  result.strides_ = Shape::filled(shape.size(), 0);
  const int missing = shape.rank() - rank();
  bool ok = missing >= 0;
  for (int i = 0; ok && i < rank(); ++i) {
    if (shape_[i] == shape[i + missing])
      result.strides_[i + missing] = strides_[i];
    else
      ok = shape_[i] == 1;
  }
  if (!ok)
    throw ShapeError(
        fmt::format("cannot broadcast a tensor of shape {} to {}", to_string(shape_), to_string(shape)));
  return result;
}

}  // namespace croton
