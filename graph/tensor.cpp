#include "croton/graph/tensor.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "croton/graph/error.h"
#include "croton/graph/tensor_bytes.h"
#include "croton/graph/tensor_cast.h"

namespace croton {

std::optional<std::size_t> bytes_of(DType dtype, const Shape& shape) {
  constexpr std::size_t most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / 2;
  std::size_t bytes = size_of(dtype);
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty = empty || extent == 0;
    const auto factor = static_cast<std::size_t>(std::max<std::int64_t>(extent, 1));
    if (__builtin_mul_overflow(bytes, factor, &bytes) || bytes > most) return std::nullopt;
  }
  return empty ? 0 : bytes;
}

Tensor Tensor::uninitialized(DType dtype, const Shape& shape) {
  if (is_complex(dtype))
    throw TypeError(
        fmt::format("tensors of dtype {} are not supported: store the real and imaginary parts "
                    "as two tensors",
                    name_of(dtype)));
  for (std::int64_t extent : shape) {
    if (extent < 0) throw ShapeError(fmt::format("a tensor cannot have the negative extent {}", extent));
  }
  const std::optional<std::size_t> bytes = bytes_of(dtype, shape);
  if (!bytes)
    throw MemoryError(
        fmt::format("out of memory: a {} tensor of shape {} needs more bytes than there are addresses",
                    name_of(dtype), to_string(shape)));
  return Tensor(make_host_storage(*bytes), dtype, shape, contiguous_strides(shape));
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
    if (shape[i] < 0) throw ShapeError(fmt::format("a tensor cannot have the negative extent {}", shape[i]));
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

void throw_ragged_list(std::size_t depth, std::int64_t expected, std::size_t got) {
  throw ShapeError(fmt::format("a nested list is ragged: the first list at depth {} has {} items, another {}",
                               depth, expected, got));
}

}  // namespace croton
