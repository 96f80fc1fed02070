#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// What the neural-network references compute in: double for float64, float for what is narrower.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Calls f(Tag<T>{}) with the C++ type of a floating dtype.
template <class F>
void visit_floating(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float16:
      return f(Tag<float16>{});
    case DType::bfloat16:
      return f(Tag<bfloat16>{});
    case DType::float32:
      return f(Tag<float>{});
    case DType::float64:
      return f(Tag<double>{});
    default:
      throw InternalError("a floating op was evaluated on another dtype");
  }
}

/// Calls f(index of the first element of a line) for every line along `axis`; no line where it is empty.
template <class F>
void for_each_line(const Shape& shape, std::size_t axis, F&& f) {
  if (shape[axis] == 0) return;
  Shape starts = shape;
  starts[axis] = 1;
  for_each_index(starts, f);
}

/// The type of x[n,k] + b[k]. TypeError, ShapeError that begin with `what`.
TensorType rows_with_bias(const Variable& x, const Variable& b, const char* what);
Tensor add_bias(const Tensor& x, const Tensor& b);
Tensor softmax_rows(const Tensor& x);
Tensor log_softmax_rows(const Tensor& x);

/// Labels as int64. IndexError for one outside 0 … classes - 1.
std::vector<std::int64_t> checked_labels(const Tensor& labels, std::int64_t classes);

}  // namespace croton
