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
  return iterate(planes, outer);
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

}  // namespace

/// pool_2d: one output element a lane, the window unrolled.
std::optional<NodeCode> lower_pool(const LowerContext& context) {
  const Pooling pool(context.node, context.inputs[0].shape, context.outputs[0].shape);
  const DType out_type = context.outputs[0].dtype;
  const bool is_max = pool.windows.mode == PoolWindows::Mode::max;
  if (is_max && !is_floating(out_type)) return std::nullopt;
  const DType dtype = compute_dtype(out_type);
  NodeKernel kernel(context, "pool");
  KernelBuilder& b = kernel.builder();
  const std::vector<Layout> layouts{context.outputs[0], context.inputs[0]};
  const IterationSpace planes = plane_loops(pool.planes, layouts);
  const PlaneAccess at_output = access(planes, 0, layouts[0]);
  const PlaneAccess at_input = access(planes, 1, layouts[1]);
  const Buffer x = kernel.input(0);
  const Buffer y = kernel.output(0);
  const ScalarValue start =
      is_max ? b.constant(-std::numeric_limits<double>::infinity(), dtype) : b.constant(0, dtype);

  const auto element = [&](std::span<const Index> plane, Index i, Index j) {
    ScalarValue value = start;
    bool first = true;
    for (std::int64_t r = 0; r < pool.windows.ws[0]; ++r) {
      for (std::int64_t c = 0; c < pool.windows.ws[1]; ++c) {
        const Index row = i * Index(pool.windows.stride[0]) + Index(r - pool.windows.pad[0]);
        const Index column = j * Index(pool.windows.stride[1]) + Index(c - pool.windows.pad[1]);
        const Index offset = at_input(plane, row, column);
        const ScalarValue v =
            pool.clipped ? b.load(x, offset, inside(b, pool, row, column), start) : b.load(x, offset);
        value = first && !pool.clipped ? v : b.emit(is_max ? ScalarOp::max : ScalarOp::add, value, v);
        first = false;
      }
    }
    if (!is_max && pool.windows.mode != PoolWindows::Mode::sum) {
      value = b.emit(ScalarOp::div, value, divisor(b, pool, i, j, dtype));
    }
    b.store(y, at_output(plane, i, j), value);
  };
  const std::int64_t plane_count = planes.count();
  if (pool.out_columns >= shortest_vector_row) {
    b.parallel("r", plane_count * pool.out_rows, [&](Index r) {
      const std::int64_t rows = std::max<std::int64_t>(pool.out_rows, 1);
      const std::vector<Index> plane = split_index(floor_div(r, rows), planes.extents);
      const Index i = mod(r, rows);
      b.loop("j", 0, pool.out_columns, vectorize, [&](Index j) { element(plane, i, j); });
    });
  } else {
    const std::int64_t columns = std::max<std::int64_t>(pool.out_columns, 1);
    const std::int64_t plane_size = std::max<std::int64_t>(pool.out_rows * pool.out_columns, 1);
    b.parallel(
        "e", plane_count * pool.out_rows * pool.out_columns,
        [&](Index e) {
          const Index within = mod(e, plane_size);
          element(split_index(floor_div(e, plane_size), planes.extents), floor_div(within, columns),
                  mod(within, columns));
        },
        vectorize);
  }
  return kernel.finish();
}

/// pool_2d_grad: one plane after the other. Windows that overlap add to one element, so the plane is first
/// summed in a workspace where the columns lie apart by their remainder of the stride: what a vector of
/// windows adds for one place in the window then lies side by side. At the end the remainders are interleaved
/// into the result.
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
  // The workspace covers the padding too, so that no window needs a mask when it adds.
  const std::int64_t padded_rows = std::max((pool.out_rows - 1) * stride[0] + ws[0], pool.rows + pad[0]);
  const std::int64_t padded_columns =
      std::max((pool.out_columns - 1) * stride[1] + ws[1], pool.columns + pad[1]);
  const std::int64_t phase_columns = (padded_columns + stride[1] - 1) / stride[1] + 1;
  const std::int64_t row_size = stride[1] * phase_columns;
  const std::int64_t workspace_size = std::max<std::int64_t>(padded_rows, 1) * row_size;
  const Buffer workspace = kernel.scratch(dtype, workspace_size * context.threads);
  const ScalarValue zero = b.constant(0, dtype);

  b.parallel("p", planes.count(), [&](Index p) {
    const std::vector<Index> plane = split_index(p, planes.extents);
    const Index base = b.worker() * Index(workspace_size);
    b.loop("z", 0, workspace_size, vectorize, [&](Index z) { b.store(workspace, base + z, zero); });
    b.loop("i", 0, pool.out_rows, [&](Index i) {
      b.loop("j", 0, pool.out_columns, vectorize, [&](Index j) {
        const ScalarValue gradient = b.load(gy, at_gy(plane, i, j));
        ScalarValue share = gradient;
        ScalarValue largest, open;
        if (is_max) {
          largest = b.load(y, at_y(plane, i, j));
          open =
              b.emit(ScalarOp::eq, b.integer_constant(0, DType::int32), b.integer_constant(0, DType::int32));
        } else if (pool.windows.mode != PoolWindows::Mode::sum) {
          share = b.emit(ScalarOp::div, gradient, divisor(b, pool, i, j, dtype));
        }
        for (std::int64_t r = 0; r < ws[0]; ++r) {
          for (std::int64_t c = 0; c < ws[1]; ++c) {
            ScalarValue added = share;
            if (is_max) {  // the first element of the window that equals the maximum takes all
              const Index row = i * Index(stride[0]) + Index(r - pad[0]);
              const Index column = j * Index(stride[1]) + Index(c - pad[1]);
              const Index offset = at_x(plane, row, column);
              ScalarValue v;
              ScalarValue hit = open;
              if (pool.clipped) {
                const ScalarValue exists = inside(b, pool, row, column);
                v = b.load(x, offset, exists, zero);
                hit = both(b, hit, exists);
              } else {
                v = b.load(x, offset);
              }
              const ScalarValue same =
                  b.emit(ScalarOp::bit_or, b.emit(ScalarOp::eq, v, largest),
                         both(b, b.emit(ScalarOp::isnan, v), b.emit(ScalarOp::isnan, largest)));
              hit = both(b, hit, same);
              open = both(b, open, b.emit(ScalarOp::logical_not, hit));
              added = b.emit(ScalarOp::select, hit, share, zero);
            }
            const Index to = base + (i * Index(stride[0]) + Index(r)) * Index(row_size) +
                             Index(c % stride[1] * phase_columns + c / stride[1]) + j;
            b.store(workspace, to, b.emit(ScalarOp::add, b.load(workspace, to), added));
          }
        }
      });
    });
    b.loop("i", 0, pool.rows, [&](Index i) {
      const Index from = base + (i + Index(pad[0])) * Index(row_size);
      b.loop("j", 0, pool.columns, vectorize, [&](Index j) {
        const Index column = j + Index(pad[1]);
        const Index at = mod(column, stride[1]) * Index(phase_columns) + floor_div(column, stride[1]);
        b.store(gx, at_gx(plane, i, j), b.load(workspace, from + at));
      });
    });
  });
  return kernel.finish();
}

}  // namespace croton
