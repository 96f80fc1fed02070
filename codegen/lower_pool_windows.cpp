#include "croton/codegen/lower_pool_windows.h"

#include <limits>
#include <utility>

namespace croton {

namespace {

std::vector<Layout> result_and_inputs(const LowerContext& context) {
  std::vector<Layout> layouts{context.outputs[0]};
  layouts.insert(layouts.end(), context.inputs.begin(), context.inputs.end());
  return layouts;
}

IterationSpace plane_loops(const Shape& planes, std::span<const Layout> layouts) {
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

/// The number of elements that a mean divides by, at output (i, j).
ScalarValue divisor(KernelBuilder& b, const Pooling& pool, Index i, Index j, DType dtype) {
  const auto count = [&](std::size_t axis, Index at, std::int64_t extent) {
    const std::int64_t pad = pool.windows.pad[axis];
    const bool counts_padding = pool.windows.mode == PoolWindows::Mode::average_inc_pad;
    const Index begin = at * Index(pool.windows.stride[axis]) - Index(pad);
    const Index end = begin + Index(pool.windows.ws[axis]);
    return counts_padding ? min(end, extent + pad) - begin : min(end, extent) - max(begin, 0);
  };
  return b.value_of(count(0, i, pool.rows) * count(1, j, pool.columns), dtype);
}

}  // namespace

PoolKernel::PoolKernel(const LowerContext& context, const Pooling& pool, std::string name)
    : context_(context),
      pool_(pool),
      ws_(pool.windows.ws),
      stride_(pool.windows.stride),
      pad_(pool.windows.pad),
      is_max_(pool.windows.mode == PoolWindows::Mode::max),
      dtype_(compute_dtype(context.outputs[0].dtype)),
      kernel_(context, std::move(name)),
      b_(kernel_.builder()),
      layouts_(result_and_inputs(context)),
      planes_(plane_loops(pool.planes, layouts_)),
      at_result_(access(0)),
      at_x_(access(1)),
      x_(kernel_.input(0)) {}

PlaneAccess PoolKernel::access(std::size_t operand) const {
  const Shape& strides = layouts_[operand].strides;
  return {planes_, operand, strides[strides.size() - 2], strides[strides.size() - 1]};
}

ScalarValue PoolKernel::inside(Index row, Index column) {
  const auto within = [&](Index at, std::int64_t extent) {
    return both(b_, b_.compare(ScalarOp::ge, at, 0), b_.compare(ScalarOp::lt, at, extent));
  };
  return both(b_, within(row, pool_.rows), within(column, pool_.columns));
}

ScalarValue PoolKernel::first_of_fold() {
  return b_.constant(is_max_ ? -std::numeric_limits<double>::infinity() : 0, dtype_);
}

ScalarValue PoolKernel::as_mean(ScalarValue sum, Index i, Index j) {
  if (is_max_ || pool_.windows.mode == PoolWindows::Mode::sum) return sum;
  const ScalarValue count = pool_.clipped ? divisor(b_, pool_, i, j, sum.dtype)
                                          : b_.constant(static_cast<double>(ws_[0] * ws_[1]), sum.dtype);
  return b_.emit(ScalarOp::div, sum, count);
}

void PoolKernel::prefetch_rows(Buffer tensor, std::size_t operand, std::span<const Index> plane, Index row,
                               std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t ahead = 8;
  constexpr std::int64_t line_bytes = 64;
  // Longer rows the processor foresees itself, and each line is an instruction.
  constexpr std::int64_t most_lines = 64;
  const PlaneAccess at = access(operand);
  const auto line = static_cast<std::int64_t>(line_bytes / size_of(layouts_[operand].dtype));
  if (at.column_stride != 1 || rows * ((columns + line - 1) / line) > most_lines) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; c += line) {
      b_.prefetch(tensor, at(plane, row + Index(ahead + r), c));
    }
  }
}

}  // namespace croton
