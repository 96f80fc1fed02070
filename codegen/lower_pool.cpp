#include <algorithm>
#include <limits>

#include "croton/codegen/lower_context.h"
#include "croton/ops/pool.h"

namespace croton {

namespace {

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

PlaneAccess access(const IterationSpace& planes, std::size_t operand, const Layout& layout) {
  const std::size_t rank = layout.shape.size();
  return {planes, operand, layout.strides[rank - 2], layout.strides[rank - 1]};
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

ScalarValue both(KernelBuilder& b, ScalarValue x, ScalarValue y) { return b.emit(ScalarOp::bit_and, x, y); }

/// Whether element (row, column) of the input exists.
ScalarValue inside(KernelBuilder& b, const Pooling& pool, Index row, Index column) {
  const auto within = [&](Index at, std::int64_t extent) {
    return both(b, b.compare(ScalarOp::ge, at, 0), b.compare(ScalarOp::lt, at, extent));
  };
  return both(b, within(row, pool.rows), within(column, pool.columns));
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

ScalarValue first_of_fold(KernelBuilder& b, bool is_max, DType dtype) {
  return b.constant(is_max ? -std::numeric_limits<double>::infinity() : 0, dtype);
}

ScalarValue as_mean(KernelBuilder& b, const Pooling& pool, ScalarValue sum, Index i, Index j) {
  if (pool.windows.mode == PoolWindows::Mode::max || pool.windows.mode == PoolWindows::Mode::sum) return sum;
  if (!pool.clipped) {
    return b.emit(ScalarOp::div, sum,
                  b.constant(static_cast<double>(pool.windows.ws[0] * pool.windows.ws[1]), sum.dtype));
  }
  return b.emit(ScalarOp::div, sum, divisor(b, pool, i, j, sum.dtype));
}

/// pool_2d where windows reach outside: one output element a lane, the window unrolled, what is outside
/// masked.
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

std::int64_t round_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

}  // namespace

/// pool_2d: the rows of a window are folded first, along contiguous memory, into a row of a workspace that
/// stays in the first-level cache; then its columns. Windows that do not share columns are folded for a whole
/// plane at once.
std::optional<NodeCode> lower_pool(const LowerContext& context) {
  const Pooling pool(context.node, context.inputs[0].shape, context.outputs[0].shape);
  const bool is_max = pool.windows.mode == PoolWindows::Mode::max;
  if (is_max && !is_floating(context.outputs[0].dtype)) return std::nullopt;
  if (pool.clipped || pool.out_rows == 0 || pool.out_columns == 0) return lower_clipped_pool(context, pool);
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
    const auto fold_rows = [&](Index i, Index to) {
      b.loop("c", 0, used, vectorize, [&](Index c) {
        ScalarValue value = b.load(x, at_input(plane, i * Index(stride[0]), c));
        for (std::int64_t r = 1; r < ws[0]; ++r) {
          value = b.emit(fold, value, b.load(x, at_input(plane, i * Index(stride[0]) + Index(r), c)));
        }
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

namespace {

/// Where a plane's elements lie in the workspaces of the gradient: columns that differ by a multiple of the
/// stride side by side, so that what a vector of windows reads or adds for one place in the window is
/// contiguous. Windows that neither overlap nor leave anything out lie side by side over all rows too.
struct SplitPlane {
  std::int64_t row_pitch = 0, window_row_pitch = 0, phase_pitch = 0, place_row_pitch = 0;
  bool exact = false;
  std::int64_t size = 0;

  explicit SplitPlane(const Pooling& pool) {
    const Shape& ws = pool.windows.ws;
    const Shape& stride = pool.windows.stride;
    const Shape& pad = pool.windows.pad;
    exact = ws == stride && pool.rows == pool.out_rows * stride[0] &&
            pool.columns == pool.out_columns * stride[1] && !pool.clipped;
    if (exact) {
      phase_pitch = pool.out_rows * pool.out_columns;
      place_row_pitch = stride[1] * phase_pitch;  // from one row of the window to the next
      window_row_pitch = pool.out_columns;        // from one row of windows to the next
      size = ws[0] * place_row_pitch;
    } else {
      // Covers the padding too, so that no window needs a mask when it adds.
      const std::int64_t rows = std::max((pool.out_rows - 1) * stride[0] + ws[0], pool.rows + pad[0]);
      const std::int64_t columns =
          std::max((pool.out_columns - 1) * stride[1] + ws[1], pool.columns + pad[1]);
      phase_pitch = (columns + stride[1] - 1) / stride[1] + 1;
      place_row_pitch = stride[1] * phase_pitch;
      window_row_pitch = stride[0] * place_row_pitch;
      size = std::max<std::int64_t>(rows, 1) * place_row_pitch;
    }
  }

  /// Element (r, c) of window (i, j); in the exact case j may run on over all windows with i = 0.
  Index at(const Pooling& pool, Index i, Index j, std::int64_t r, std::int64_t c) const {
    const std::int64_t stride = pool.windows.stride[1];
    return i * Index(window_row_pitch) + Index(r * place_row_pitch + c % stride * phase_pitch + c / stride) +
           j;
  }
  /// The begin of input row i (padding counted) and of its phase 0.
  Index row(const Pooling& pool, Index i) const {
    if (!exact) return i * Index(place_row_pitch);
    const std::int64_t stride = pool.windows.stride[0];
    return mod(i, stride) * Index(place_row_pitch) + floor_div(i, stride) * Index(window_row_pitch);
  }
};

/// Moves a row between a plane (contiguous) and a split plane, in small transposes: `columns` elements, phase
/// 0 first.
void split_row(KernelBuilder& b, const SplitPlane& split, std::int64_t stride, std::int64_t columns,
               Buffer plane, Index plane_row, Buffer workspace, Index split_row, bool to_plane) {
  constexpr std::int64_t side = 16;
  const std::int64_t whole = columns / stride;
  const auto tile = [&](Index m, std::int64_t count) {
    if (to_plane) {
      b.transpose_tile(plane, plane_row + m * Index(stride), stride, workspace, split_row + m,
                       split.phase_pitch, stride, count);
    } else {
      b.transpose_tile(workspace, split_row + m, split.phase_pitch, plane, plane_row + m * Index(stride),
                       stride, count, stride);
    }
  };
  const std::int64_t tiled = whole / side * side;
  if (tiled > 0) b.loop("m", 0, tiled, serial, [&](Index m) { tile(m, side); }, side);
  if (tiled < whole) tile(tiled, whole - tiled);
  for (std::int64_t c = 0; c < columns % stride; ++c) {
    const Index in_plane = plane_row + Index(whole * stride + c);
    const Index in_split = split_row + Index(c * split.phase_pitch + whole);
    if (to_plane) {
      b.store(plane, in_plane, b.load(workspace, in_split));
    } else {
      b.store(workspace, in_split, b.load(plane, in_plane));
    }
  }
}

}  // namespace

/// pool_2d_grad, one plane after the other in workspaces that stay in the first-level cache: the plane is
/// split by columns (see SplitPlane), every window adds its gradient to the element (max) or elements it came
/// from, and the sums are put together again.
std::optional<NodeCode> lower_pool_grad(const LowerContext& context) {
  const Pooling pool(context.node, context.inputs[0].shape, context.inputs[1].shape);
  const DType dtype = compute_dtype(context.outputs[0].dtype);
  const bool is_max = pool.windows.mode == PoolWindows::Mode::max;
  if (is_max && !is_floating(dtype)) return std::nullopt;
  NodeKernel kernel(context, "pool_grad");
  KernelBuilder& b = kernel.builder();
  const std::vector<Layout> layouts{context.outputs[0], context.inputs[0], context.inputs[1],
                                    context.inputs[2]};
  const IterationSpace planes = plane_loops(pool.planes, layouts);
  const PlaneAccess at_gx = access(planes, 0, layouts[0]);
  const PlaneAccess at_x = access(planes, 1, layouts[1]);
  const PlaneAccess at_y = access(planes, 2, layouts[2]);
  const PlaneAccess at_gy = access(planes, 3, layouts[3]);
  const Buffer x = kernel.input(0);
  const Buffer y = kernel.input(1);
  const Buffer gy = kernel.input(2);
  const Buffer gx = kernel.output(0);

  const Shape& ws = pool.windows.ws;
  const Shape& stride = pool.windows.stride;
  const Shape& pad = pool.windows.pad;
  const SplitPlane split(pool);
  const auto is_plain = [&](const Layout& layout) {
    return layout.strides.back() == 1 && layout.dtype == dtype && stride[1] <= 16 && pad[1] % stride[1] == 0;
  };
  const bool plain_x = is_plain(layouts[1]);
  const bool plain_gx = is_plain(layouts[0]);
  const bool flat = split.exact && at_y.column_stride == 1 && at_gy.column_stride == 1 &&
                    at_y.row_stride == pool.out_columns && at_gy.row_stride == pool.out_columns;
  const std::int64_t workspace_size = round_up(split.size, 16);
  const Buffer sums = kernel.scratch(dtype, workspace_size * context.threads);
  // In the exact case every element is written once: the sums may lie over the elements.
  const bool shares = split.exact && is_max;
  const Buffer elements = is_max && !shares ? kernel.scratch(dtype, workspace_size * context.threads) : sums;
  const ScalarValue zero = b.constant(0, dtype);

  b.parallel("p", planes.count(), [&](Index p) {
    const std::vector<Index> plane = split_index(p, planes.extents);
    const Index base = b.worker() * Index(workspace_size);
    if (!split.exact) {
      b.loop("z", 0, workspace_size, vectorize, [&](Index z) { b.store(sums, base + z, zero); });
    }
    if (is_max) {
      if (pool.clipped || !plain_x) {  // outside lies what is smaller than every number but an infinite one
        const ScalarValue lowest = b.constant(-std::numeric_limits<double>::infinity(), dtype);
        b.loop("z", 0, workspace_size, vectorize, [&](Index z) { b.store(elements, base + z, lowest); });
      }
      b.loop("i", 0, pool.rows, [&](Index i) {
        const Index row = base + split.row(pool, i + Index(pad[0]));
        if (plain_x) {
          split_row(b, split, stride[1], pool.columns, x, at_x(plane, i, 0), elements,
                    row + Index(pad[1] / stride[1]), false);
          return;
        }
        b.loop("j", 0, pool.columns, [&](Index j) {
          const Index column = j + Index(pad[1]);
          const Index at = mod(column, stride[1]) * Index(split.phase_pitch) + floor_div(column, stride[1]);
          b.store(elements, row + at, b.load(x, at_x(plane, i, j)));
        });
      });
    }
    const auto windows = [&](Index i, std::int64_t count) {
      b.loop("j", 0, count, vectorize, [&](Index j) {
        const ScalarValue gradient = b.load(gy, at_gy(plane, i, 0) + j * Index(at_gy.column_stride));
        const ScalarValue share = is_max ? gradient : as_mean(b, pool, gradient, i, j);
        ScalarValue largest, taken;
        if (is_max) largest = b.load(y, at_y(plane, i, 0) + j * Index(at_y.column_stride));
        for (std::int64_t r = 0; r < ws[0]; ++r) {
          for (std::int64_t c = 0; c < ws[1]; ++c) {
            const Index at = base + split.at(pool, i, j, r, c);
            ScalarValue added = share;
            if (is_max) {  // the first element of the window that equals the maximum takes all; a NaN wins
                           // over it
              const ScalarValue v = b.load(elements, at);
              ScalarValue hit =
                  b.emit(ScalarOp::bit_or, b.emit(ScalarOp::eq, v, largest), b.emit(ScalarOp::isnan, v));
              if (pool.clipped) {
                const Index row = i * Index(stride[0]) + Index(r - pad[0]);
                const Index column = j * Index(stride[1]) + Index(c - pad[1]);
                hit = both(b, hit, inside(b, pool, row, column));
              }
              if (r + c > 0) {
                const ScalarValue first = both(b, hit, b.emit(ScalarOp::logical_not, taken));
                taken = b.emit(ScalarOp::bit_or, taken, hit);
                hit = first;
              } else {
                taken = hit;
              }
              added = b.emit(ScalarOp::select, hit, share, zero);
            }
            b.store(sums, at, split.exact ? added : b.emit(ScalarOp::add, b.load(sums, at), added));
          }
        }
      });
    };
    if (flat) {
      windows(0, pool.out_rows * pool.out_columns);
    } else {
      b.loop("i", 0, pool.out_rows, [&](Index i) { windows(i, pool.out_columns); });
    }
    b.loop("i", 0, pool.rows, [&](Index i) {
      const Index row = base + split.row(pool, i + Index(pad[0]));
      if (plain_gx) {
        split_row(b, split, stride[1], pool.columns, gx, at_gx(plane, i, 0), sums,
                  row + Index(pad[1] / stride[1]), true);
        return;
      }
      b.loop("j", 0, pool.columns, vectorize, [&](Index j) {
        const Index column = j + Index(pad[1]);
        const Index at = mod(column, stride[1]) * Index(split.phase_pitch) + floor_div(column, stride[1]);
        b.store(gx, at_gx(plane, i, j), b.load(sums, row + at));
      });
    });
  });
  return kernel.finish();
}

}  // namespace croton
