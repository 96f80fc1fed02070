#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/graph/tensor_cast.h"

namespace croton {
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

void Tensor::fill(const Tensor& value) const {
  if (value.size() != 1)
    throw ShapeError(
        fmt::format("fill needs one element, not a tensor of shape {}", to_string(value.shape())));
  assign(value.reshape({}));
}

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

}  // namespace croton
