#pragma once

#include <limits>
#include <span>

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

inline PlaneAccess access(const IterationSpace& planes, std::size_t operand, const Layout& layout) {
  const std::size_t rank = layout.shape.size();
  return {planes, operand, layout.strides[rank - 2], layout.strides[rank - 1]};
}

inline IterationSpace plane_loops(const Shape& planes, std::span<const Layout> layouts) {
  std::vector<Layout> outer;
  for (const Layout& layout : layouts) {
    const std::size_t rank = layout.shape.size() - 2;
    outer.push_back({layout.dtype, Shape(std::span(layout.shape.begin(), rank)),
                     Shape(std::span(layout.strides.begin(), rank))});
  }
  IterationSpace space = iterate(planes, outer);
  space.simplify(/*reorder=*/false);
  return space;
}

inline ScalarValue both(KernelBuilder& b, ScalarValue x, ScalarValue y) {
  return b.emit(ScalarOp::bit_and, x, y);
}

/// Whether element (row, column) of the input exists.
inline ScalarValue inside(KernelBuilder& b, const Pooling& pool, Index row, Index column) {
  const auto within = [&](Index at, std::int64_t extent) {
    return both(b, b.compare(ScalarOp::ge, at, 0), b.compare(ScalarOp::lt, at, extent));
  };
  return both(b, within(row, pool.rows), within(column, pool.columns));
}

/// The number of elements that a mean divides by, at output (i, j).
inline ScalarValue divisor(KernelBuilder& b, const Pooling& pool, Index i, Index j, DType dtype) {
  const auto count = [&](std::size_t axis, Index at, std::int64_t extent) {
    const std::int64_t pad = pool.windows.pad[axis];
    const bool counts_padding = pool.windows.mode == PoolWindows::Mode::average_inc_pad;
    const Index begin = at * Index(pool.windows.stride[axis]) - Index(pad);
    const Index end = begin + Index(pool.windows.ws[axis]);
    return counts_padding ? min(end, extent + pad) - begin : min(end, extent) - max(begin, 0);
  };
  return b.value_of(count(0, i, pool.rows) * count(1, j, pool.columns), dtype);
}

inline ScalarValue first_of_fold(KernelBuilder& b, bool is_max, DType dtype) {
  return b.constant(is_max ? -std::numeric_limits<double>::infinity() : 0, dtype);
}

inline ScalarValue as_mean(KernelBuilder& b, const Pooling& pool, ScalarValue sum, Index i, Index j) {
  if (pool.windows.mode == PoolWindows::Mode::max || pool.windows.mode == PoolWindows::Mode::sum) return sum;
  if (!pool.clipped) {
    return b.emit(ScalarOp::div, sum,
                  b.constant(static_cast<double>(pool.windows.ws[0] * pool.windows.ws[1]), sum.dtype));
  }
  return b.emit(ScalarOp::div, sum, divisor(b, pool, i, j, sum.dtype));
}

inline std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

/// Asks for rows of a plane, a few rows before they are used; past the last row, those of the next plane.
void prefetch_rows(KernelBuilder& b, Buffer tensor, DType dtype, const PlaneAccess& at,
                   std::span<const Index> plane, Index row, std::int64_t rows, std::int64_t columns);

/// pool_2d and pool_2d_grad on a GPU.
NodeCode lower_pool_on_gpu(const LowerContext& context, const Pooling& pool);
NodeCode lower_pool_grad_on_gpu(const LowerContext& context, const Pooling& pool);

}  // namespace croton
