#pragma once

#include <span>
#include <string>
#include <vector>

#include "croton/codegen/lower_context.h"
#include "croton/ops/pool.h"

/// What the lowerings of pooling have in common.
namespace croton {

/// Planes (all axes but the last two) and the numbers of a pooling.
struct Pooling {
  PoolWindows windows;
  std::int64_t rows, columns;          // of the input
  std::int64_t out_rows, out_columns;  // of the output
  Shape planes;
  bool clipped = false;  // some window reaches outside the input

  Pooling(const Node& node, const Shape& input, const Shape& output) : windows(node.attributes()) {
    const std::size_t rank = input.size();
    rows = input[rank - 2];
    columns = input[rank - 1];
    out_rows = output[rank - 2];
    out_columns = output[rank - 1];
    planes = Shape(std::span(input.begin(), rank - 2));
    const auto outside = [&](std::size_t axis, std::int64_t count, std::int64_t extent) {
      return windows.pad[axis] > 0 ||
             (count > 0 && (count - 1) * windows.stride[axis] + windows.ws[axis] > extent);
    };
    clipped = outside(0, out_rows, rows) || outside(1, out_columns, columns);
  }
};

/// The offset of a plane and the strides within it.
struct PlaneAccess {
  IterationSpace planes;
  std::size_t operand;
  std::int64_t row_stride, column_stride;

  Index operator()(std::span<const Index> plane, Index row, Index column) const {
    return offset_of(planes, operand, plane) + row * Index(row_stride) + column * Index(column_stride);
  }
};

inline std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

inline ScalarValue both(KernelBuilder& b, ScalarValue x, ScalarValue y) {
  return b.emit(ScalarOp::bit_and, x, y);
}

/// What lowerings of pooling and of its gradient have: both write one tensor, and read the images first.
class PoolKernel {
 protected:
  PoolKernel(const LowerContext& context, const Pooling& pool, std::string name);

  /// The result is operand 0, inputs stand behind it.
  PlaneAccess access(std::size_t operand) const;
  /// Whether element (row, column) of the images exists.
  ScalarValue inside(Index row, Index column);
  /// What a window's sum (or maximum) is at output (i, j).
  ScalarValue as_mean(ScalarValue sum, Index i, Index j);
  ScalarOp fold() const { return is_max_ ? ScalarOp::max : ScalarOp::add; }
  ScalarValue first_of_fold();
  ScalarValue zero() { return b_.constant(0, dtype_); }
  /// Asks for rows of a plane, a few rows before they are used; past the last row, those of the next plane.
  void prefetch_rows(Buffer tensor, std::size_t operand, std::span<const Index> plane, Index row,
                     std::int64_t rows, std::int64_t columns);

  const LowerContext& context_;
  const Pooling& pool_;
  const Shape &ws_, &stride_, &pad_;
  const bool is_max_;
  const DType dtype_;  // of what is computed
  NodeKernel kernel_;
  KernelBuilder& b_;
  std::vector<Layout> layouts_;  // of the operands
  const IterationSpace planes_;
  const PlaneAccess at_result_, at_x_;
  const Buffer x_;
};

/// pool_2d and pool_2d_grad on a GPU.
NodeCode lower_pool_on_gpu(const LowerContext& context, const Pooling& pool);
NodeCode lower_pool_grad_on_gpu(const LowerContext& context, const Pooling& pool);

}  // namespace croton
