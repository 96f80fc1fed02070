#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "croton/codegen/lower.h"
#include "croton/graph/node.h"

namespace croton {

/// A matrix as it lies in memory: element (i, j) at i * row + j * column elements behind the first.
struct ProductMatrix {
  int buffer = -1;  ///< among the node's inputs, then its output; -1: there is none
  std::int64_t rows = 0, columns = 0;
  std::int64_t row = 0, column = 0;
};

/// A node of a matrix product as c = beta * z + alpha * a @ b, vectors as matrices of one row or column.
struct ProductOperands {
  ProductMatrix a, b, c, z;   ///< z: no buffer when there is none; strides 0 where it broadcasts
  int alpha = -1, beta = -1;  ///< buffers of the 0-d factors; -1: 1 and 0 (with a z: 1)
  std::int64_t m = 0, n = 0, k = 0;
};

/// The operands of a dot, dot22, dot22_scalar, gemm, gemv or ger node whose operands lie as given. Nothing
/// for other ops and for products with a scalar.
std::optional<ProductOperands> product_operands(const Node& node, std::span<const Layout> inputs,
                                                std::span<const Layout> outputs);

/// BLAS can walk it: elements of a row (or of a column) side by side, the others a fixed distance apart that
/// is not below the length. Strides along axes of extent 1 do not count.
bool is_row_major(const ProductMatrix& x);
bool is_column_major(const ProductMatrix& x);
/// That distance.
std::int64_t leading_dimension(const ProductMatrix& x, bool row_major);

}  // namespace croton
