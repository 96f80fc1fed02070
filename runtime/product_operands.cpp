#include "croton/runtime/product_operands.h"

#include <algorithm>

#include "croton/ops/blas.h"

namespace croton {

namespace {

ProductMatrix matrix(int buffer, const Layout& layout) {
  return {buffer, layout.shape[0], layout.shape[1], layout.strides[0], layout.strides[1]};
}
ProductMatrix row_vector(int buffer, const Layout& layout) {
  return {buffer, 1, layout.shape[0], 0, layout.strides[0]};
}
ProductMatrix column_vector(int buffer, const Layout& layout) {
  return {buffer, layout.shape[0], 1, layout.strides[0], 0};
}

/// x @ y of vectors and matrices, and what scales it.
std::optional<ProductOperands> plain_product(std::span<const Layout> inputs, const Layout& output,
                                             bool is_scaled) {
  const int x_rank = inputs[0].shape.rank(), y_rank = inputs[1].shape.rank();
  if (x_rank == 0 || y_rank == 0 || x_rank > 2 || y_rank > 2) return std::nullopt;
  ProductOperands p;
  const int result = static_cast<int>(inputs.size());
  p.a = x_rank == 1 ? row_vector(0, inputs[0]) : matrix(0, inputs[0]);
  p.b = y_rank == 1 ? column_vector(1, inputs[1]) : matrix(1, inputs[1]);
  if (x_rank == 1 && y_rank == 1) {
    p.c = {result, 1, 1, 0, 0};
  } else {
    p.c = x_rank == 1   ? row_vector(result, output)
          : y_rank == 1 ? column_vector(result, output)
                        : matrix(result, output);
  }
  if (is_scaled) p.alpha = 2;
  return p;
}

}  // namespace

std::optional<ProductOperands> product_operands(const Node& node, std::span<const Layout> inputs,
                                                std::span<const Layout> outputs) {
  ProductOperands p;
  const Op& op = node.op();
  const int result = static_cast<int>(inputs.size());
  if (&op == &gemv_op()) {
    p.a = matrix(2, inputs[2]);
    p.b = column_vector(3, inputs[3]);
    p.c = column_vector(result, outputs[0]);
    p.z = column_vector(0, inputs[0]);
    p.alpha = 1;
    p.beta = 4;
  } else if (&op == &gemm_op()) {
    p.a = matrix(2, inputs[2]);
    p.b = matrix(3, inputs[3]);
    p.c = matrix(result, outputs[0]);
    p.z = matrix(0, inputs[0]);
    p.alpha = 1;
    p.beta = 4;
  } else if (&op == &ger_op()) {
    p.a = column_vector(2, inputs[2]);
    p.b = row_vector(3, inputs[3]);
    p.c = matrix(result, outputs[0]);
    p.z = matrix(0, inputs[0]);
    p.alpha = 1;
  } else if (&op == &dot_op() || &op == &dot22_op() || &op == &dot22_scalar_op()) {
    const auto plain = plain_product(inputs, outputs[0], &op == &dot22_scalar_op());
    if (!plain) return std::nullopt;
    p = *plain;
  } else {
    return std::nullopt;
  }
  p.m = p.a.rows;
  p.k = p.a.columns;
  p.n = p.b.columns;
  if (p.z.buffer >= 0) {
    if (p.z.rows == 1 && p.m != 1) p.z.row = 0;
    if (p.z.columns == 1 && p.n != 1) p.z.column = 0;
  }
  return p;
}

bool is_row_major(const ProductMatrix& x) {
  return (x.column == 1 || x.columns == 1) && (x.rows == 1 || x.row >= std::max<std::int64_t>(1, x.columns));
}

bool is_column_major(const ProductMatrix& x) {
  return (x.row == 1 || x.rows == 1) && (x.columns == 1 || x.column >= std::max<std::int64_t>(1, x.rows));
}

std::int64_t leading_dimension(const ProductMatrix& x, bool row_major) {
  if (row_major) return x.rows == 1 ? std::max<std::int64_t>(1, x.columns) : x.row;
  return x.columns == 1 ? std::max<std::int64_t>(1, x.rows) : x.column;
}

}  // namespace croton
