#include "croton/ops/matrix_product.h"

#include "croton/graph/tensor_cast.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

Tensor matrix_product(const Tensor& x, const Tensor& y, DType out) {
  const std::int64_t rows = x.shape()[0], inner = x.shape()[1], columns = y.shape()[1];
  const Tensor left = x.contiguous(), right = y.contiguous();
  return visit_dtype(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = reference::Computed<T>;
    constexpr DType computed = dtype_of<C>;
    Tensor result = Tensor::zeros({rows, columns}, computed);
    const T* a = left.data<const T>();
    const T* b = right.data<const T>();
    C* row = result.data<C>();
    for (std::int64_t i = 0; i < rows; ++i, row += columns) {
      for (std::int64_t k = 0; k < inner; ++k) {
        const C factor = static_cast<C>(a[i * inner + k]);
        for (std::int64_t j = 0; j < columns; ++j) {
          row[j] = reference::sum(row[j], reference::product(factor, static_cast<C>(b[k * columns + j])));
        }
      }
    }
    return result.astype(out);
  });
}

Tensor combine(double b, const Tensor& z, double a, const Tensor& product, DType out) {
  const Tensor result = Tensor::empty(product.shape(), DType::float64);
  const double* p = product.data<const double>();
  auto* to = result.data<double>();
  const std::int64_t n = product.size();
  if (!z.defined()) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = a * p[i];
  } else {
    const Tensor addend = z.astype(DType::float64).contiguous();
    const double* q = addend.data<const double>();
    for (std::int64_t i = 0; i < n; ++i) to[i] = b * q[i] + a * p[i];
  }
  return result.astype(out);
}

}  // namespace croton
