
#include "croton/codegen/lower_context.h"

namespace croton {

namespace {

/// A copy whose source runs along another loop than its destination: squares of a few cache lines are
/// transposed in registers. `across` is the source's contiguous loop, the last loop the destination's.
void copy_transposed(KernelBuilder& b, Buffer to, Buffer from, const IterationSpace& space,
                     std::size_t across) {
  const std::size_t along = space.loops() - 1;
  const std::int64_t side = size_of(to.dtype) == 8 ? 8 : 16;
  std::vector<std::size_t> outer_loops;
  for (std::size_t loop = 0; loop < along; ++loop) {
    if (loop != across) outer_loops.push_back(loop);
  }
  const IterationSpace outer = space.only(outer_loops);
  const std::int64_t rows = space.extents[across];    // contiguous in the source
  const std::int64_t columns = space.extents[along];  // contiguous in the destination
  const std::int64_t to_stride = space.strides[0][across];
  const std::int64_t from_stride = space.strides[1][along];
  const std::int64_t strips = (rows + side - 1) / side;
  b.parallel("t", outer.count() * strips, [&](Index t) {
    const std::vector<Index> indices = split_index(floor_div(t, strips), outer.extents);
    const Index row = mod(t, strips) * Index(side);
    const Index to_base = offset_of(outer, 0, indices) + row * Index(to_stride);
    const Index from_base = offset_of(outer, 1, indices) + row;
    const auto strip = [&](std::int64_t height) {
      const std::int64_t whole = columns / side * side;
      if (whole > 0) {
        b.loop(
            "c", 0, whole, serial,
            [&](Index c) {
              b.transpose_tile(to, to_base + c, to_stride, from, from_base + c * Index(from_stride),
                               from_stride, side, height);
            },
            side);
      }
      if (whole < columns) {
        b.transpose_tile(to, to_base + Index(whole), to_stride, from, from_base + Index(whole * from_stride),
                         from_stride, columns - whole, height);
      }
    };
    const std::int64_t last = rows % side;
    if (last == 0) {
      strip(side);
    } else if (rows < side) {
      strip(last);
    } else {
      b.branch(b.compare(ScalarOp::lt, row, rows - last), [&] { strip(side); }, [&] { strip(last); });
    }
  });
}

/// The same on a GPU: squares through shared memory, whose rows have one element more, so that a column of
/// them lies in different banks. Large ones where they are enough for all multiprocessors: several elements
/// that lie side by side are then accessed together, on both sides.
void copy_by_tiles(KernelBuilder& b, Buffer to, Buffer from, const IterationSpace& space, std::size_t across,
                   const GpuTraits& gpu) {
  constexpr std::int64_t large = 64, small = 32;
  // Groups that a multiprocessor works on together.
  constexpr std::int64_t tiles_per_multiprocessor = 8;
  const std::size_t along = space.loops() - 1;
  std::vector<std::size_t> outer_loops;
  for (std::size_t loop = 0; loop < along; ++loop) {
    if (loop != across) outer_loops.push_back(loop);
  }
  const IterationSpace outer = space.only(outer_loops);
  const std::int64_t rows = space.extents[across];    // contiguous in the source
  const std::int64_t columns = space.extents[along];  // contiguous in the destination
  const bool is_large =
      size_of(to.dtype) <= 4 && rows % large == 0 && columns % large == 0 &&
      outer.count() * (rows / large) * (columns / large) >= tiles_per_multiprocessor * gpu.multiprocessors;
  const std::int64_t side = is_large ? large : small;
  const std::int64_t row_tiles = (rows + side - 1) / side, column_tiles = (columns + side - 1) / side;
  const std::int64_t tiles = outer.count() * row_tiles * column_tiles;
  if (tiles == 0) return;
  b.parallel("t", tiles, [&](Index t) {
    const std::vector<Index> indices = split_index(floor_div(t, row_tiles * column_tiles), outer.extents);
    const Index first_row = mod(floor_div(t, column_tiles), row_tiles) * Index(side);
    const Index first_column = mod(t, column_tiles) * Index(side);
    const Index to_base = offset_of(outer, 0, indices), from_base = offset_of(outer, 1, indices);
    const LocalArray tile = b.array("tile", to.dtype, side * (side + 1));
    const auto exists = [&](Index row, Index column) {
      return b.emit(ScalarOp::bit_and, b.compare(ScalarOp::lt, row, rows),
                    b.compare(ScalarOp::lt, column, columns));
    };
    const bool is_whole = rows % side == 0 && columns % side == 0;
    b.loop("e", 0, side * side, vectorize, [&](Index e) {
      const Index row = first_row + mod(e, side), column = first_column + floor_div(e, side);
      const Index at =
          from_base + row * Index(space.strides[1][across]) + column * Index(space.strides[1][along]);
      const ScalarValue v =
          is_whole ? b.load(from, at)
                   : b.load(from, at, exists(row, column), b.constant(0, compute_dtype(from.dtype)));
      b.store(tile, floor_div(e, side) * Index(side + 1) + mod(e, side), v);
    });
    b.loop("e", 0, side * side, vectorize, [&](Index e) {
      const Index row = first_row + floor_div(e, side), column = first_column + mod(e, side);
      const Index at =
          to_base + row * Index(space.strides[0][across]) + column * Index(space.strides[0][along]);
      const ScalarValue v = b.load(tile, mod(e, side) * Index(side + 1) + floor_div(e, side));
      if (is_whole) {
        b.store(to, at, v);
      } else {
        b.store(to, at, v, exists(row, column));
      }
    });
  });
}

}  // namespace

/// contiguous: the input's elements in C order.
std::optional<NodeCode> lower_copy(const LowerContext& context) {
  NodeKernel kernel(context, "copy");
  KernelBuilder& b = kernel.builder();
  const std::vector<Layout> operands{context.outputs[0], context.inputs[0]};
  IterationSpace space = iterate(context.outputs[0].shape, operands);
  space.simplify(/*reorder=*/true);
  const Buffer from = kernel.input(0);
  const Buffer to = kernel.output(0);
  const std::size_t loops = space.loops();
  if (loops >= 2 && space.strides[0].back() == 1 && space.strides[1].back() != 1) {
    for (std::size_t loop = 0; loop + 1 < loops; ++loop) {
      if (space.strides[1][loop] == 1 && space.extents[loop] >= 4 && space.extents.back() >= 4) {
        if (context.is_gpu()) {
          copy_by_tiles(b, to, from, space, loop, context.gpu);
        } else {
          copy_transposed(b, to, from, space, loop);
        }
        return kernel.finish();
      }
    }
  }
  for_each_element(b, space, [&](std::span<const Index> indices) {
    b.store(to, offset_of(space, 0, indices), b.load(from, offset_of(space, 1, indices)));
  });
  return kernel.finish();
}

}  // namespace croton
