#include "croton/graph/tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "croton/graph/error.h"
#include "croton/graph/tensor_cast.h"

namespace croton {

Tensor Tensor::uninitialized(DType dtype, const Shape& shape) {
  if (is_complex(dtype))
    throw TypeError(
        fmt::format("tensors of dtype {} are not supported: store the real and imaginary parts "
                    "as two tensors",
                    name_of(dtype)));
  std::size_t bytes = size_of(dtype);
  bool empty = false, huge = false;
  for (std::int64_t extent : shape) {
    if (extent < 0)
      throw ShapeError(
          fmt::format("a tensor cannot have the shape {}: {} is negative", to_string(shape), extent));
    if (extent == 0) empty = true;
  }
  if (!empty) {
    for (std::int64_t extent : shape)
      huge = __builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes) || huge;
  }
  if (huge || bytes > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / 2)
    throw MemoryError(
        fmt::format("out of memory: a {} tensor of shape {} needs more bytes than there are addresses",
                    name_of(dtype), to_string(shape)));
  return Tensor(make_host_storage(empty ? 0 : bytes), dtype, shape, contiguous_strides(shape));
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor result = uninitialized(dtype, shape);
  std::memset(result.raw_data(), 0, result.bytes());
  return result;
}

Tensor Tensor::ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }

Tensor Tensor::full(const Shape& shape, const Tensor& value, DType dtype) {
  Tensor result = uninitialized(dtype, shape);
  result.fill(value);
  return result;
}

Tensor Tensor::arange(double start, double stop, double step, DType dtype) {
  if (step == 0 || std::isnan(step))
    throw ValueError(fmt::format("arange's step is {}: it must not be zero or NaN", step));
  const double count = std::ceil((stop - start) / step);
  if (!(count < 0x1p62)) throw ValueError(fmt::format("arange({}, {}, {}) has no end", start, stop, step));
  const auto n = static_cast<std::int64_t>(std::max(count, 0.0));
  Tensor result = uninitialized(dtype, {n});
  visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = result.data<T>();
    for (std::int64_t i = 0; i < n; ++i) out[i] = convert_element<T>(start + static_cast<double>(i) * step);
  });
  return result;
}

Tensor Tensor::eye(std::int64_t rows, std::optional<std::int64_t> columns, std::int64_t k, DType dtype) {
  const std::int64_t width = columns.value_or(rows);
  Tensor result = zeros({rows, width}, dtype);
  visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = result.data<T>();
    for (std::int64_t row = std::max<std::int64_t>(0, -std::max(k, -rows)); row < rows; ++row) {
      if (row + k >= width) break;
      out[row * width + row + k] = convert_element<T>(1.0);
    }
  });
  return result;
}

Tensor Tensor::view(void* data, DType dtype, const Shape& shape, const Shape& strides,
                    std::shared_ptr<void> owner) {
  if (shape.size() != strides.size())
    throw ShapeError(fmt::format("a view of shape {} needs {} strides, not {}", to_string(shape),
                                 shape.size(), strides.size()));
  if (is_complex(dtype))
    throw TypeError(fmt::format("tensors of dtype {} are not supported", name_of(dtype)));
  // The bytes that the elements span, from the lowest address on: strides may be negative.
  std::int64_t low = 0, high = 0;
  bool empty = false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0)
      throw ShapeError(
          fmt::format("a tensor cannot have the shape {}: {} is negative", to_string(shape), shape[i]));
    if (shape[i] == 0) empty = true;
    const std::int64_t reach = (shape[i] - 1) * strides[i];
    (reach < 0 ? low : high) += reach;
  }
  if (empty) low = high = 0;
  const auto item = static_cast<std::int64_t>(size_of(dtype));
  const std::size_t bytes = empty ? 0 : static_cast<std::size_t>((high - low + 1) * item);
  return Tensor(make_view_storage(static_cast<std::byte*>(data) + low * item, bytes, std::move(owner)), dtype,
                shape, strides, -low);
}

void Tensor::require_count(std::size_t count) const {
  if (count != static_cast<std::size_t>(size()))
    throw ShapeError(fmt::format("{} values do not fill the shape {}, which has {} elements", count,
                                 to_string(shape_), size()));
}

Shape Tensor::set_shape(std::size_t count, DType dtype) const {
  if (dtype != dtype_)
    throw TypeError(
        fmt::format("set: the values are {}, the tensor of shape {} is {}; convert one with astype",
                    name_of(dtype), to_string(shape_), name_of(dtype_)));
  require_count(count);
  return shape_;
}

void Tensor::throw_not_readable(DType wanted) const {
  if (!storage_) throw ValueError("the tensor is undefined (default constructed): it has no data");
  if (!storage_->on_host())
    throw DeviceError(
        fmt::format("the data of this {} tensor of shape {} is on a device: call to_host() first",
                    name_of(dtype_), to_string(shape_)));
  throw TypeError(
      fmt::format("the tensor of shape {} is {}, not {}: ask for {} or convert it with astype(DType::{}{})",
                  to_string(shape_), name_of(dtype_), name_of(wanted), name_of(dtype_), name_of(wanted),
                  wanted == DType::bool_ ? "_" : ""));
}

std::int64_t Tensor::offset_of(const Shape& index) const {
  if (index.size() != shape_.size())
    throw IndexError(fmt::format("the index {} has {} entries; the tensor of shape {} has {} axes",
                                 to_string(index), index.size(), to_string(shape_), shape_.size()));
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < index.size(); ++i) {
    const std::int64_t at = index[i] < 0 ? index[i] + shape_[i] : index[i];
    if (at < 0 || at >= shape_[i])
      throw IndexError(fmt::format("index {} is out of bounds for axis {} of the tensor of shape {}",
                                   index[i], i, to_string(shape_)));
    offset += at * strides_[i];
  }
  return offset;
}

void Tensor::item_as(DType wanted, void* value) const {
  if (!storage_) throw_not_readable(wanted);
  if (size() != 1)
    throw ShapeError(
        fmt::format("item() needs a tensor of one element; this one has shape {} and {} elements",
                    to_string(shape_), size()));
  const Tensor here = to_host();
  visit_dtype(dtype_, [&](auto from) {
    using From = typename decltype(from)::type;
    visit_dtype(wanted, [&](auto to) {
      using To = typename decltype(to)::type;
      *static_cast<To*>(value) = convert_element<To>(*here.data<From>());
    });
  });
}

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

Tensor Tensor::copy() const {
  if (!defined()) return {};
  Tensor result = uninitialized(dtype_, shape_);
  if (size() == 0) return result;
  if (on_host()) {
    result.assign(*this);
  } else if (is_contiguous()) {
    storage_->copy_to_host(
        result.data_, static_cast<std::size_t>(data_ - static_cast<std::byte*>(storage_->data())), bytes());
  } else {
    // Fetch the whole storage once and pick the elements here.
    StorageRef fetched = make_host_storage(storage_->bytes());
    storage_->copy_to_host(fetched->data(), 0, storage_->bytes());
    const std::int64_t offset =
        (data_ - static_cast<std::byte*>(storage_->data())) / static_cast<std::int64_t>(size_of(dtype_));
    result.assign(Tensor(std::move(fetched), dtype_, shape_, strides_, offset));
  }
  return result;
}

Tensor Tensor::astype(DType dtype) const {
  if (dtype == dtype_ || !defined()) return *this;
  Tensor result = uninitialized(dtype, shape_);
  result.assign(to_host());
  return result;
}

Tensor Tensor::reshape(const Shape& wanted) const {
  Shape shape = wanted;
  int open = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && open < 0) {
      open = i;
    } else if (shape[i] < 0) {
      throw ShapeError(fmt::format("reshape to {}: one extent may be -1, the others must not be negative",
                                   to_string(wanted)));
    } else {
      known *= shape[i];
    }
  }
  if (open >= 0 && known != 0) shape[open] = size() / known;
  if ((open >= 0 && known == 0) || shape.count() != size())
    throw ShapeError(fmt::format("cannot reshape a tensor of shape {} ({} elements) to {}", to_string(shape_),
                                 size(), to_string(wanted)));
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

namespace {

/// Runs of the last axis of two tensors of one shape, in C order: f(a, a's step, b, b's step, count).
template <class A, class B, class F>
void for_each_run(const StridedView<A>& a, const StridedView<B>& b, F&& f) {
  Shape outer = a.shape();
  std::int64_t count = 1, step_a = 0, step_b = 0;
  if (!outer.empty()) {
    count = outer.back();
    step_a = a.strides().back();
    step_b = b.strides().back();
    outer.erase(outer.size() - 1);
  }
  for_each_index(outer, [&](const Shape& index) {
    A* at_a = a.data();
    B* at_b = b.data();
    for (std::size_t i = 0; i < index.size(); ++i) {
      at_a += index[i] * a.strides()[i];
      at_b += index[i] * b.strides()[i];
    }
    f(at_a, step_a, at_b, step_b, count);
  });
}

bool overlap(const Storage& a, const Storage& b) {
  const auto* first_a = static_cast<const std::byte*>(a.data());
  const auto* first_b = static_cast<const std::byte*>(b.data());
  return first_a < first_b + b.bytes() && first_b < first_a + a.bytes();
}

}  // namespace

void Tensor::assign(const Tensor& source) const {
  if (!defined() || !source.defined())
    throw ValueError("assign: an undefined (default-constructed) tensor has no elements");
  Tensor from = source.to_host().broadcast_to(shape_);
  if (size() == 0) return;
  if (!on_host()) {
    if (!is_contiguous())
      throw DeviceError(
          fmt::format("cannot assign to a strided view (shape {}) of device memory", to_string(shape_)));
    from = from.astype(dtype_).contiguous();
    storage_->copy_from_host(
        from.data_, static_cast<std::size_t>(data_ - static_cast<std::byte*>(storage_->data())), bytes());
    return;
  }
  const bool same = from.data_ == data_ && from.strides_ == strides_ && from.dtype_ == dtype_;
  if (same) return;
  if (overlap(*from.storage_, *storage_)) from = from.copy();
  if (from.dtype_ == dtype_ && is_contiguous() && from.is_contiguous()) {
    std::memcpy(data_, from.data_, bytes());
    return;
  }
  visit_dtype(dtype_, [&](auto to_tag) {
    using To = typename decltype(to_tag)::type;
    visit_dtype(from.dtype_, [&](auto from_tag) {
      using From = typename decltype(from_tag)::type;
      for_each_run(elements<To>(), from.elements<const From>(),
                   [](To* to, std::int64_t to_step, const From* at, std::int64_t step, std::int64_t count) {
                     for (std::int64_t i = 0; i < count; ++i)
                       to[i * to_step] = convert_element<To>(at[i * step]);
                   });
    });
  });
}

bool equal(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  const Tensor left = a.to_host(), right = b.to_host();
  return visit_dtype(a.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    bool same = true;
    for_each_run(left.elements<const T>(), right.elements<const T>(),
                 [&](const T* x, std::int64_t step_x, const T* y, std::int64_t step_y, std::int64_t count) {
                   for (std::int64_t i = 0; i < count; ++i) same &= x[i * step_x] == y[i * step_y];
                 });
    return same;
  });
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (!(a.shape() == b.shape())) return false;
  if (is_discrete(a.dtype()) && a.dtype() == b.dtype() && rtol == 0 && atol == 0) return equal(a, b);
  const Tensor left = a.to_host().astype(DType::float64), right = b.to_host().astype(DType::float64);
  bool close = true;
  for_each_run(
      left.elements<const double>(), right.elements<const double>(),
      [&](const double* x, std::int64_t step_x, const double* y, std::int64_t step_y, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) {
          const double p = x[i * step_x], q = y[i * step_y];
          if (std::isnan(p) || std::isnan(q))
            close &= equal_nan && std::isnan(p) && std::isnan(q);
          else if (std::isinf(p) || std::isinf(q))
            close &= p == q;
          else
            close &= std::abs(p - q) <= atol + rtol * std::abs(q);
        }
      });
  return close;
}

void throw_ragged_list(std::size_t depth, std::int64_t expected, std::size_t got) {
  throw ShapeError(fmt::format("a nested list is ragged: the first list at depth {} has {} items, another {}",
                               depth, expected, got));
}

}  // namespace croton
