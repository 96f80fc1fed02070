#include "croton/runtime/cuda_product_layout.h"

#include <fmt/format.h>

namespace croton {

namespace {

/// A matrix as a column-major one: as it is, or its transpose.
std::optional<BlasMatrix> column_major(const ProductMatrix& x, bool want_transpose) {
  // A row-major matrix is its transpose column by column.
  if (is_row_major(x) && (want_transpose || !is_column_major(x))) {
    return BlasMatrix{x.buffer, x.columns, x.rows, leading_dimension(x, true), !want_transpose};
  }
  if (!is_column_major(x)) return std::nullopt;
  return BlasMatrix{x.buffer, x.rows, x.columns, leading_dimension(x, false), want_transpose};
}

std::string strides_of(const char* what, const ProductMatrix& x) {
  return fmt::format(
      "{} of {} x {} has strides {} and {}; cuBLASLt needs one of them 1 and the other at least the length",
      what, x.rows, x.columns, x.row, x.column);
}

/// The same vector in every column of d (which is c or its transpose).
bool repeats_column(const ProductMatrix& z, bool transposed, std::int64_t columns) {
  const std::int64_t along = transposed ? z.column : z.row, across = transposed ? z.row : z.column;
  const std::int64_t length = transposed ? z.columns : z.rows;
  return across == 0 && columns != 1 && (along == 1 || length == 1);
}

}  // namespace

std::optional<BlasProduct> blas_product(const ProductOperands& operands, std::optional<double> beta,
                                        std::string& reason) {
  const bool transposed = is_row_major(operands.c);
  if (!transposed && !is_column_major(operands.c)) {
    reason = strides_of("the result", operands.c);
    return std::nullopt;
  }
  BlasProduct p;
  p.k = operands.k;
  p.alpha = operands.alpha;
  p.beta = operands.beta;
  const ProductMatrix& first = transposed ? operands.b : operands.a;
  const ProductMatrix& second = transposed ? operands.a : operands.b;
  const auto a = column_major(first, transposed), b = column_major(second, transposed);
  if (!a || !b) {
    reason = strides_of("an operand", a ? second : first);
    return std::nullopt;
  }
  p.a = *a;
  p.b = *b;
  const auto result_like = [&](const ProductMatrix& x) {
    const std::int64_t rows = transposed ? operands.n : operands.m,
                       columns = transposed ? operands.m : operands.n;
    return BlasMatrix{x.buffer, rows, columns, leading_dimension(x, transposed), false};
  };
  p.d = result_like(operands.c);
  const ProductMatrix& z = operands.z;
  if (z.buffer < 0) return p;
  if (z.rows == operands.m && z.columns == operands.n &&
      (transposed ? is_row_major(z) : is_column_major(z))) {
    p.c = result_like(z);
    return p;
  }
  if (repeats_column(z, transposed, p.d.columns)) {
    if (beta == 1.0) {
      p.bias = z.buffer;
      p.beta = -1;
      return p;
    }
    reason = "the summand repeats a row, which cuBLASLt adds with a factor of 1 only";
    return std::nullopt;
  }
  reason = strides_of("the summand", z);
  return std::nullopt;
}

}  // namespace croton
