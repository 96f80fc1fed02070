#include <algorithm>

#include "croton/codegen/lower_pool_windows.h"

namespace croton {

void prefetch_rows(KernelBuilder& b, Buffer tensor, DType dtype, const PlaneAccess& at,
                   std::span<const Index> plane, Index row, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t ahead = 8;
  constexpr std::int64_t line_bytes = 64;
  // Longer rows the processor foresees itself, and each line is an instruction.
  constexpr std::int64_t most_lines = 64;
  const auto line = static_cast<std::int64_t>(line_bytes / size_of(dtype));
  if (at.column_stride != 1 || rows * ((columns + line - 1) / line) > most_lines) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; c += line) {
      b.prefetch(tensor, at(plane, row + Index(ahead + r), c));
    }
  }
}

namespace {

/// pool_2d where windows reach outside: one output element a lane, the window unrolled, what is
/// outside masked.
NodeCode lower_clipped_pool(const LowerContext& context, const Pooling& pool) {
  const bool is_max = pool.windows.mode == PoolWindows::Mode::max;
  const DType dtype = compute_dtype(context.outputs[0].dtype);
  NodeKernel kernel(context, "pool");
  KernelBuilder& b = kernel.builder();
  const std::vector<Layout> layouts{context.outputs[0], context.inputs[0]};
  const IterationSpace planes = plane_loops(pool.planes, layouts);
  const PlaneAccess at_output = access(planes, 0, layouts[0]);
  const PlaneAccess at_input = access(planes, 1, layouts[1]);
  const Buffer x = kernel.input(0);
  const Buffer y = kernel.output(0);
  const ScalarValue start = first_of_fold(b, is_max, dtype);
  const std::int64_t out_rows = std::max<std::int64_t>(pool.out_rows, 1);
  const std::int64_t out_columns = std::max<std::int64_t>(pool.out_columns, 1);
  b.parallel(
      "e", planes.count() * pool.out_rows * pool.out_columns,
      [&](Index e) {
        const Index j = mod(e, out_columns);
        const Index i = mod(floor_div(e, out_columns), out_rows);
        const std::vector<Index> plane = split_index(floor_div(e, out_rows * out_columns), planes.extents);
        ScalarValue value = start;
        for (std::int64_t r = 0; r < pool.windows.ws[0]; ++r) {
          for (std::int64_t c = 0; c < pool.windows.ws[1]; ++c) {
            const Index row = i * Index(pool.windows.stride[0]) + Index(r - pool.windows.pad[0]);
            const Index column = j * Index(pool.windows.stride[1]) + Index(c - pool.windows.pad[1]);
            const ScalarValue v =
                b.load(x, at_input(plane, row, column), inside(b, pool, row, column), start);
            value = b.emit(is_max ? ScalarOp::max : ScalarOp::add, value, v);
          }
        }
        b.store(y, at_output(plane, i, j), as_mean(b, pool, value, i, j));
      },
      vectorize);
  return kernel.finish();
}

}  // namespace

/// pool_2d: the rows of a window are folded first, along contiguous memory, into a row of a workspace that
/// stays in the first-level cache; then its columns. Windows that do not share columns are folded for a whole
/// plane at once.
std::optional<NodeCode> lower_pool(const LowerContext& context) {
  const Pooling pool(context.node, context.inputs[0].shape, context.outputs[0].shape);
  const bool is_max = pool.windows.mode == PoolWindows::Mode::max;
  if (is_max && !is_floating(context.outputs[0].dtype)) return std::nullopt;
  if (context.is_gpu()) return lower_pool_on_gpu(context, pool);
  if (pool.clipped || pool.out_rows == 0 || pool.out_columns == 0) {
    return lower_clipped_pool(context, pool);
  }
  const DType dtype = compute_dtype(context.outputs[0].dtype);
  NodeKernel kernel(context, "pool");
  KernelBuilder& b = kernel.builder();
  const std::vector<Layout> layouts{context.outputs[0], context.inputs[0]};
  const IterationSpace planes = plane_loops(pool.planes, layouts);
  const PlaneAccess at_output = access(planes, 0, layouts[0]);
  const PlaneAccess at_input = access(planes, 1, layouts[1]);
  const Buffer x = kernel.input(0);
  const Buffer y = kernel.output(0);
  const Shape& ws = pool.windows.ws;
  const Shape& stride = pool.windows.stride;
  const ScalarOp fold = is_max ? ScalarOp::max : ScalarOp::add;

  const bool by_plane =
      ws[1] <= stride[1] && at_output.column_stride == 1 && at_output.row_stride == pool.out_columns;
  const std::int64_t row_size =
      by_plane ? stride[1] * pool.out_columns : (pool.out_columns - 1) * stride[1] + ws[1];
  const std::int64_t used = std::min(row_size, (pool.out_columns - 1) * stride[1] + ws[1]);
  // Columns are folded in whole vectors, whose last lanes read what does not count.
  const std::int64_t lanes = 16;
  const std::int64_t folded = by_plane ? pool.out_rows * pool.out_columns : pool.out_columns;
  const std::int64_t workspace_size =
      round_up((by_plane ? pool.out_rows * row_size : row_size) + lanes * stride[1] + ws[1], lanes);
  const Buffer workspace = kernel.scratch(dtype, workspace_size * context.threads);

  b.parallel("p", planes.count(), [&](Index p) {
    const std::vector<Index> plane = split_index(p, planes.extents);
    const Index base = b.worker() * Index(workspace_size);
    // Whole vectors are stored: what a masked store wrote last cannot be read back before it reached the
    // cache.
    const auto fold_rows = [&](Index i, Index to) {
      prefetch_rows(b, x, layouts[1].dtype, at_input, plane, i * Index(stride[0]), stride[0], pool.columns);
      b.loop("c", 0, round_up(used, lanes), vectorize, [&](Index c) {
        const auto element = [&](std::int64_t r) {
          const Index at = at_input(plane, i * Index(stride[0]) + Index(r), c);
          if (used % lanes == 0) return b.load(x, at);
          return b.load(x, at, b.compare(ScalarOp::lt, c, used), b.constant(0, dtype));
        };
        ScalarValue value = element(0);
        for (std::int64_t r = 1; r < ws[0]; ++r) value = b.emit(fold, value, element(r));
        b.store(workspace, to + c, value);
      });
    };
    const auto fold_columns = [&](Index from, Index j, Index i) {
      ScalarValue value = b.load(workspace, from + j * Index(stride[1]));
      for (std::int64_t c = 1; c < ws[1]; ++c) {
        value = b.emit(fold, value, b.load(workspace, from + j * Index(stride[1]) + Index(c)));
      }
      return as_mean(b, pool, value, i, j);
    };
    const auto store_columns = [&](Index from, Index to, Index i) {
      b.loop("j", 0, round_up(folded, lanes), vectorize, [&](Index j) {
        const ScalarValue value = fold_columns(from, j, i);
        const Index at = to + j * Index(at_output.column_stride);
        if (folded % lanes == 0) {
          b.store(y, at, value);
        } else {
          b.store(y, at, value, b.compare(ScalarOp::lt, j, folded));
        }
      });
    };
    if (by_plane) {
      b.loop("i", 0, pool.out_rows, [&](Index i) { fold_rows(i, base + i * Index(row_size)); });
      store_columns(base, at_output(plane, 0, 0), 0);
    } else {
      b.loop("i", 0, pool.out_rows, [&](Index i) {
        fold_rows(i, base);
        store_columns(base, at_output(plane, i, 0), i);
      });
    }
  });
  return kernel.finish();
}

}  // namespace croton
