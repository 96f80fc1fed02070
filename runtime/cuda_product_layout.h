#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "croton/graph/dtype.h"
#include "croton/runtime/product_operands.h"

namespace croton {

/// A matrix as cuBLASLt counts: column-major, `rows` x `columns` as stored, used transposed or not.
struct BlasMatrix {
  int buffer = -1;
  std::int64_t rows = 0, columns = 0, leading = 0;
  bool transposed = false;
  friend bool operator==(const BlasMatrix&, const BlasMatrix&) = default;
};

/// A product for cuBLASLt: d = alpha * op(a) @ op(b) + beta * c (+ bias for every column of d), column-major.
/// A row-major result is the transpose of a column-major one, so the operands change places; nothing is
/// copied.
struct BlasProduct {
  BlasMatrix a, b, c, d;  ///< c without a buffer: there is none
  int alpha = -1, beta = -1;
  int bias = -1;  ///< a buffer with d.rows elements, added to every column of d; beta must then be 1
  std::int64_t k = 0;
};

/// Nothing, and why in `reason`, where some operand would have to be copied first. `beta`: its value where it
/// is known while planning: a z that repeats one row (or column) becomes a bias where it is 1.
std::optional<BlasProduct> blas_product(const ProductOperands& operands, std::optional<double> beta,
                                        std::string& reason);

}  // namespace croton
