// Blocks that multiply and fold: the products of every output and tap stay in shared memory, a tile of
// outputs at a time. A block has some of the channels of an image, or of several, and keeps their filters;
// four warps go through a share of the outputs, and keep the inputs that these reach until the last of them.

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "croton/codegen/cuda_contraction_geometry.h"
#include "croton/codegen/cuda_kernel.h"

namespace croton {

namespace {

using Axis = ContractionFold::Axis;

constexpr std::int64_t rows_of_warps = 64;  // of four that multiply together
// Fewer leave too little to do between barriers (an H200: 27 columns take 1.1 times as long as with a matrix
// in memory, 72 take 0.8, 121 take 0.6).
constexpr std::int64_t least_columns = 64;
constexpr std::int64_t most_shared_bytes = 227 * 1024;  // of a block

/// What follows from a tile of outputs. `kept`: inputs along the first axis that a tile reaches; `shared`:
/// those of them that the outputs behind the tile reach, too.
struct FoldBlockCut {
  std::int64_t rows = 1, kept = 0, shared = 0, of_share = 0, inner = 1, columns = 0;

  FoldBlockCut(const ContractionFold& fold, const ContractionFold::Blocks& b) {
    const Axis& first = fold.axes.front();
    for (std::size_t axis = 0; axis < fold.axes.size(); ++axis) {
      rows *= b.outputs[axis];
      if (axis > 0) inner *= fold.axes[axis].inputs;
    }
    const std::int64_t reach = (first.taps - 1) * first.dilation + 1;
    kept = (b.outputs.front() - 1) * first.stride + reach;
    shared = std::max<std::int64_t>(0, reach - first.stride);
    const std::int64_t bands = quotient_up(first.outputs, b.outputs.front());
    of_share = (b.images > 1 ? bands : quotient_up(bands, b.shares)) * b.outputs.front();
    columns = b.channels * fold.product_of(&Axis::taps);
  }
  /// Neighbouring columns of a lane's sums, and eight rows, are in different banks.
  std::int64_t pitch() const { return up_to_multiple(rows, rows_of_warps) + 4; }
  std::int64_t floats_of_share(std::int64_t channels) const {
    return columns * pitch() + channels * (kept + shared) * inner;
  }
};

FoldBlockCut cut_of_blocks(const CudaContraction& c) { return {c.fold, c.fold.blocks}; }

/// At most so many neighbours in memory: whole trailing axes and equal parts of one.
std::vector<std::int64_t> tile_outputs(const ContractionFold& fold, std::int64_t most) {
  std::vector<std::int64_t> outputs(fold.axes.size(), 1);
  for (std::size_t axis = fold.axes.size(); axis-- > 0; most /= outputs[axis]) {
    const std::int64_t extent = fold.axes[axis].outputs;
    if (extent > most) {
      outputs[axis] = axis == 0 ? most : quotient_up(extent, quotient_up(extent, most));
      break;
    }
    outputs[axis] = extent;
  }
  return outputs;
}

int column_units_for(std::int64_t columns) {
  for (const int units : warpgroup_column_units) {
    if (8 * units >= columns) return units;
  }
  return 0;
}

/// Of a thread, about: sums, twice where tiles' sums are added up, factors and what is read for them.
int registers_of_folding(const CudaContraction& c) {
  const int steps = c.tile.depth / 16;
  return 4 * c.tile.column_units * (adds_up_tiles(c) ? 2 : 1) +
         steps * (2 * words_of_unit(c.arithmetic) / 32 + 8) + 40;
}

/// The contraction with so many channels a block, and as many shares as registers and shared memory hold;
/// none is so small that a third one reaches its inputs. Nothing where not even one fits.
std::optional<CudaContraction> with_blocks(const CudaContraction& c, std::int64_t channels, int units,
                                           std::int64_t most_rows, int multiprocessors) {
  constexpr int most_shares = 4, all_registers = 65536, threads_of_share = 128;
  constexpr std::int64_t most_images = 16;
  const ContractionPart& part = c.parts.front();
  const std::int64_t taps = part.columns[1], of_tap = part.result.place.columns[1];
  CudaContraction cut = c;
  cut.tile = {4, 1, 1, units, part.depth.front() > 16 ? 32 : 16, 2, true};
  cut.splits = 1;
  ContractionPart& p = cut.parts.front();
  p.columns = {part.columns[0] / channels, 8 * units};
  p.packed.place.columns = {channels * taps, 1};
  p.packed.bounds = {{{0, 0, {}, {0, 1}, {}}, channels * taps}};
  p.result.place.columns = {channels * taps * of_tap, of_tap};
  p.result.bounds = p.packed.bounds;
  // Two blocks a multiprocessor; several images where there are more.
  const std::int64_t images = std::clamp<std::int64_t>(
      c.fold.images * c.batch * p.columns[0] / (2 * multiprocessors), 1, most_images);
  const std::int64_t outputs = c.fold.axes.front().outputs, stride = c.fold.axes.front().stride;
  for (int shares = most_shares; shares > 0; --shares) {
    cut.fold.blocks = {channels, images == 1 ? 1 : up_to_multiple(images, shares), shares,
                       tile_outputs(c.fold, most_rows)};
    cut.tile.warps_rows = 4 * shares;
    const FoldBlockCut f = cut_of_blocks(cut);
    if (images == 1 && quotient_up(outputs, f.of_share) != shares) continue;
    if (images == 1 && shares > 1 && f.of_share * stride < f.shared) continue;
    if (threads_of_share * shares * registers_of_folding(cut) <= all_registers &&
        fold_block_bytes(cut) <= most_shared_bytes)
      return cut;
  }
  return std::nullopt;
}

/// Of tensor cores' time: rows and columns that are not empty, and one share alone waits for itself.
double efficiency_of_blocks(const CudaContraction& c) {
  const FoldBlockCut f = cut_of_blocks(c);
  return static_cast<double>(f.rows * f.columns) /
         static_cast<double>(up_to_multiple(f.rows, rows_of_warps) * c.tile.columns()) *
         (c.fold.blocks.shares > 1 ? 1 : 0.6);
}

}  // namespace

bool fold_in_blocks(CudaContraction& c, const GpuTraits& gpu) {
  if (!has_warpgroup_products(gpu.architecture) || !c.is_tensor_core() || c.result_count == 0 ||
      c.gathered_count == 0 || c.packed_count == 0)
    return false;
  const int most_units = has_three_products(c.arithmetic) ? 16 : 32;  // by registers for sums
  const std::int64_t channels = c.parts.front().columns[0], taps = c.parts.front().columns[1];
  std::optional<CudaContraction> best;
  for (std::int64_t of_block = channels; of_block > 0; --of_block) {
    const int units = column_units_for(of_block * taps);
    if (channels % of_block != 0 || of_block * taps < least_columns || units == 0 || units > most_units)
      continue;
    // A multiprocessor without a block has nothing to do.
    if (4 * c.fold.images * c.batch * (channels / of_block) < 3 * gpu.multiprocessors) continue;
    for (const std::int64_t most_rows : {rows_of_warps, 2 * rows_of_warps}) {
      auto cut = with_blocks(c, of_block, units, most_rows, gpu.multiprocessors);
      if (cut && (!best || efficiency_of_blocks(*cut) > 1.05 * efficiency_of_blocks(*best)))
        best = std::move(cut);
    }
  }
  if (best) c = std::move(*best);
  return best.has_value();
}

std::int64_t fold_block_pitch(const CudaContraction& c) { return cut_of_blocks(c).pitch(); }

std::int64_t fold_blocks(const CudaContraction& c) {
  return quotient_up(c.fold.images, c.fold.blocks.images) * c.batch * c.parts.front().columns.front();
}

std::int64_t fold_block_bytes(const CudaContraction& c) {
  const std::int64_t packed = cut_of(c, c.parts.front()).depth_tiles * (c.tile.depth / 16) *
                              c.tile.column_units * words_of_unit(c.arithmetic);
  return 4 * (packed + c.fold.blocks.shares *
                           up_to_multiple(cut_of_blocks(c).floats_of_share(c.fold.blocks.channels), 4));
}

std::string fold_block_declarations(const CudaContraction& c) {
  const FoldBlockCut cut = cut_of_blocks(c);
  const ContractionFold::Blocks& b = c.fold.blocks;
  std::string text = fmt::format(
      "  static constexpr i32 block_channels = {}, block_columns = {}, shares = {}, of_share = {};\n"
      "  static constexpr i32 products_pitch = {}, kept_inputs = {}, shared_inputs = {}, inner_inputs = {};\n"
      "  static constexpr i32 floats_of_share = {}, gathered_image = {}, images = {}, block_images = {};\n"
      "  static DEVICE constexpr i32 tile_outputs(int axis) {{\n",
      b.channels, cut.columns, b.shares, cut.of_share, cut.pitch(), cut.kept, cut.shared, cut.inner,
      up_to_multiple(cut.floats_of_share(b.channels), 4), c.parts.front().gathered.place.rows.front(),
      c.fold.images, b.images);
  for (std::size_t axis = 0; axis < b.outputs.size(); ++axis)
    text += fmt::format("    if (axis == {}) return {};\n", axis, b.outputs[axis]);
  return text + "    return 1;\n  }\n";
}

}  // namespace croton
