// How a contraction is cut into tiles, and its depth into splits: by an estimate of the clocks that a
// multiprocessor takes. The numbers are of one with four partitions, each with tensor cores, as of compute
// capability 8.0 and later.

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

namespace {

using Arithmetic = ContractionArithmetic;

constexpr double tensor_core_partitions = 4;
constexpr double clocks_of_mma = 6.4;      // m16n8k8 of tf32, m16n8k16 of 16-bit factors
constexpr double clocks_of_group_mma = 4;  // the same share of wgmma
// From the arrival of a tile to its last sum, where nothing else runs; and of a warp's copy to shared memory,
// which keeps others of the multiprocessor waiting.
constexpr double latency_of_group_tile = 500, clocks_of_copy = 8;
constexpr double clocks_around_block = 4000;
constexpr double stored_bytes_per_clock = 12;  // of a multiprocessor
constexpr double clocks_around_launch = 4000;
constexpr double bytes_per_clock = 2000;  // of the whole GPU
constexpr std::int64_t most_partial_bytes = std::int64_t{64} << 20;
constexpr std::int64_t shortest_split = 4;  // tiles of depth
constexpr std::int64_t most_splits = 128;
constexpr std::size_t most_units = 24;  // of a warp: four registers of sums each

struct Costs {
  double products = 0;   // mma of 16 x 8 x 16, or instructions of a 16 x 8 x 1 for fused multiply-add
  double splitting = 0;  // instructions for an element of the gathered operand
};

Costs costs_of(Arithmetic a) {
  switch (a) {
    case Arithmetic::tf32:
      return {2, 1};
    case Arithmetic::tf32x3:
      return {6, 2};
    case Arithmetic::bf16:
    case Arithmetic::fp16:
      return {1, 0.5};
    case Arithmetic::fp16x3:
      return {3, 1};
    case Arithmetic::fp32:
      return {4 * 16, 0};
    default:
      return {8 * 16, 0};
  }
}

/// The contraction with this tile.
CudaContraction with_tile(const CudaContraction& c, const ContractionTile& tile) {
  CudaContraction cut = c;
  cut.tile = tile;
  return cut;
}
std::int64_t bytes_of_tiles(const CudaContraction& c, ContractionTile t, int stages) {
  t.stages = stages;
  return croton::bytes_of_tiles(with_tile(c, t));
}

/// Clocks as measured on an H200, relative to the estimate: more columns a warp are fewer reads of the
/// gathered operand, and four warps a block less waiting. Where warps multiply together, blocks of eight and
/// long tiles hide the making of factors behind three products of each; one product leaves less to hide.
double measured_factor(const CudaContraction& c, const ContractionTile& t) {
  if (t.by_groups) {
    constexpr int few_units = 8, many_units = 16;
    const bool is_long = has_three_products(c.arithmetic) || t.column_units <= few_units || t.patch > 0 ||
                         c.lanes == CudaContraction::Lanes::depth;
    if (c.folds()) return t.warps_rows == 4 && t.depth == 16 ? 0.5 : 0.6;  // sums of few tiles
    const bool is_best = is_long ? t.warps_rows == 8 && t.depth == 32
                                 : t.depth == 16 && t.warps_rows == (t.column_units > many_units ? 4 : 8);
    if (t.patch > 0 && t.warps_rows == 4) return 0.8;
    return is_best ? 0.5 : 0.6;
  }
  if (t.warps_rows == 2 && t.warps_columns == 2 && t.column_units > 4) return t.column_units == 8 ? 0.8 : 0.9;
  return t.row_units == 4 && t.column_units == 4 && (t.depth > 16 || t.warps_columns == 1) ? 1.1 : 1;
}

std::int64_t taps_of(const CudaContraction& c) {
  std::int64_t most = 0;
  for (const ContractionPart& p : c.parts) {
    if (p.depth.front() > 0) most = std::max(most, index_count(p.depth) / p.depth.front());
  }
  return most;
}

/// The same tile with its part of the images in shared memory, where it fits there.
std::optional<ContractionTile> with_patch(const CudaContraction& c, ContractionTile t) {
  constexpr std::int64_t most_bytes = 200 * 1024, most_positions = 4096;
  // Few channels fill no tile.
  constexpr double most_filled = 1.35;
  if (c.lanes != CudaContraction::Lanes::rows || c.dtype != DType::float32 || taps_of(c) < 2)
    return std::nullopt;
  t.patch = patch_of_tile(c, t);
  if (t.patch == 0 || t.patch > most_positions) return std::nullopt;
  // Where few taps share what is fetched, fetching for each is as fast.
  constexpr std::int64_t many_taps = 16;
  const bool is_resident = patch_cut(with_tile(c, t)).is_resident;
  if (!is_resident && taps_of(c) < many_taps) return std::nullopt;
  t.stages = 3;
  if (bytes_of_tiles(c, t, t.stages) > most_bytes) return std::nullopt;
  if (is_resident) return t;
  const std::int64_t channels = c.parts.front().depth.front();
  if (static_cast<double>(up_to_multiple(channels, t.depth)) > most_filled * static_cast<double>(channels))
    return std::nullopt;
  for (const ContractionPart& p : c.parts) {
    if (index_count(p.depth) < (t.stages - 1) * channels) return std::nullopt;
  }
  return t;
}

/// The units of columns of which the fewest tiles hold them all, the smallest of these.
int column_units_of_groups(const CudaContraction& c, std::int64_t columns) {
  // By registers; short sums (of what is folded) want more blocks at once.
  const int most = !has_three_products(c.arithmetic) ? 32 : c.folds() ? 12 : 16;
  const std::int64_t units = quotient_up(std::max<std::int64_t>(1, columns), 8);
  int best = most;
  for (const int column_units : warpgroup_column_units) {
    if (column_units < most && quotient_up(units, column_units) == quotient_up(units, most))
      best = std::min(best, column_units);
  }
  return best;
}

/// Tiles of four warps that multiply together: every element of the gathered operand is fetched as few times
/// as registers for sums allow.
void add_group_tiles(const CudaContraction& c, std::int64_t columns, std::vector<ContractionTile>& tiles) {
  const int column_units = column_units_of_groups(c, columns);
  for (const int warps : {4, 8}) {
    for (const int depth : {16, 32}) {
      ContractionTile t{warps, 1, 1, column_units, depth, 3, true};
      if (bytes_of_tiles(c, t, 4) <= 72 * 1024 * warps / 4) t.stages = 4;
      tiles.push_back(t);
      if (const auto patched = with_patch(c, t)) tiles.push_back(*patched);
    }
  }
}

std::vector<ContractionTile> tiles_for(const CudaContraction& c, const GpuTraits& gpu) {
  const std::int64_t columns = index_count(c.parts.front().columns);
  const Arithmetic a = c.arithmetic;
  const int depth = a == Arithmetic::tf32x3 || !c.is_tensor_core() ? 16 : 32;
  std::vector<ContractionTile> tiles;
  const auto add = [&](int warps_rows, int warps_columns, int row_units, int column_units) {
    ContractionTile t{warps_rows, warps_columns, row_units, column_units, depth, 3};
    // Nobody fills so many columns.
    if (t.columns() > 8 && t.columns() / 2 >= columns) return;
    // Rounds of memory accesses that are on their way while three blocks share a multiprocessor.
    constexpr std::int64_t third = 72 * 1024;
    if (bytes_of_tiles(c, t, 4) <= third * (t.threads() / 128)) t.stages = 4;
    if (std::ranges::find(tiles, t) == tiles.end()) tiles.push_back(t);
  };
  if (a == Arithmetic::fp64) {
    add(2, 2, 2, 2);
    add(4, 1, 1, 1);
    return tiles;
  }
  if (!c.is_tensor_core()) {
    add(2, 2, 4, 4);
    add(2, 4, 4, 4);
    add(2, 2, 2, 4);
    add(4, 1, 2, 2);
    add(4, 1, 2, 1);
    return tiles;
  }
  add(2, 2, 4, 4);
  add(2, 4, 4, 4);
  add(2, 2, 2, 4);
  add(4, 2, 4, 4);
  add(2, 2, 2, 8);
  add(4, 1, 4, 4);
  add(2, 2, 4, 6);
  const int units = static_cast<int>(quotient_up(std::max<std::int64_t>(1, columns), 8));
  if (has_warpgroup_products(gpu.architecture)) add_group_tiles(c, columns, tiles);
  for (const int row_units : {2, 4}) {
    if (units <= 8 && static_cast<std::size_t>(units * row_units) <= most_units) add(4, 1, row_units, units);
  }
  return tiles;
}

/// By registers and shared memory.
double blocks_together(const CudaContraction& c, const ContractionTile& t) {
  constexpr int all_registers = 65536, all_shared = 224 * 1024;
  const CudaContraction cut = with_tile(c, t);
  const auto shared = static_cast<int>(bytes_of_tiles(cut));
  return std::max(1,
                  std::min(all_registers / (registers_of(cut) * t.threads()), all_shared / (shared + 1024)));
}

double clocks_of(const CudaContraction& c, const ContractionTile& t, std::int64_t splits,
                 int multiprocessors) {
  const Costs costs = costs_of(c.arithmetic);
  const double rows = t.rows(), columns = t.columns(), depth = t.depth;
  const double units = rows / 16 * columns / 8 * depth / 16;
  double busy = 0, issued = 0;
  // Fetching: a copy, its address and its condition.
  const double fetched = t.patch > 0 ? t.patch * depth / static_cast<double>(taps_of(c)) : rows * depth;
  issued += fetched / 32 * (c.lanes == CudaContraction::Lanes::rows ? 2.5 : 6);
  issued += columns * depth / 32 / 2;
  if (c.is_tensor_core()) {
    busy =
        units * costs.products * (t.by_groups ? clocks_of_group_mma : clocks_of_mma) / tensor_core_partitions;
    issued += t.warps_columns * rows * depth / 32 * (1 + costs.splitting);
    if (!t.by_groups) {
      issued += units * costs.products;
      issued += t.warps_rows * columns * depth / 32 / 4;
    }
    if (adds_up_tiles(with_tile(c, t))) issued += rows * columns / 32;
  } else {
    issued += units * costs.products * 1.4;
  }
  issued += 40.0 * t.threads() / 32;
  double tile_clocks = std::max(busy, issued / tensor_core_partitions) +
                       0.15 * std::min(busy, issued / tensor_core_partitions);
  // Blocks that share a multiprocessor wait for memory together, at their beginning and their end.
  const double together = blocks_together(c, t);
  const double stored = rows * columns * 4 / stored_bytes_per_clock;
  const auto blocks_of = [&](const ContractionPart& p) {
    return static_cast<double>(quotient_up(index_count(p.rows), t.rows()) *
                               quotient_up(index_count(p.columns), t.columns()) * c.batch * splits);
  };
  double blocks = 0, work = 0;
  for (const ContractionPart& p : c.parts) blocks += blocks_of(p);
  if (blocks == 0) return 0;
  const double rounds = std::ceil(blocks / multiprocessors);
  if (t.by_groups) {
    const int planes = c.arithmetic == Arithmetic::tf32x3 ? 2 : 1;
    const double copies = fetched / 32 + columns * depth * planes / 128;
    tile_clocks = std::max(tile_clocks, copies * clocks_of_copy);
    tile_clocks = std::max(tile_clocks, (latency_of_group_tile + busy) / std::min(rounds, together));
  }
  for (const ContractionPart& p : c.parts) {
    const std::int64_t tiles = quotient_up(index_count(p.depth), t.depth);
    work += blocks_of(p) * (static_cast<double>(quotient_up(tiles, splits)) * tile_clocks + stored);
  }
  double clocks = work / blocks * rounds * (c.is_tensor_core() ? measured_factor(c, t) : 1);
  // Few warps leave units idle.
  const double warps = std::min(rounds, together) * t.threads() / 32.0;
  if (!t.by_groups) clocks *= 1 + std::max(0.0, 8 - warps) / 8 + std::max(0.0, 12 - warps) / 40;
  clocks += std::ceil(rounds / together) * clocks_around_block;
  if (splits > 1) {
    clocks += clocks_around_launch +
              static_cast<double>(splits + 1) * static_cast<double>(c.result_count) * 8 / bytes_per_clock;
  }
  return clocks;
}

/// A product of matrices: as measured on an H200, two blocks of four warps a multiprocessor, whose tiles are
/// as large as that allows. Rows and columns of tiles are powers of two, among which threads are shared out.
void cut_direct(CudaContraction& c, int multiprocessors, int variant) {
  constexpr ContractionTile tiles[] = {{2, 2, 4, 4, 16, 3}, {2, 2, 2, 4, 16, 3}, {2, 2, 2, 2, 16, 3}};
  const ContractionPart& p = c.parts.front();
  const std::int64_t wanted = 2 * multiprocessors;
  const auto blocks = [&](const ContractionTile& t) {
    return quotient_up(index_count(p.rows), t.rows()) * quotient_up(index_count(p.columns), t.columns());
  };
  const std::int64_t most =
      std::max<std::int64_t>(1, index_count(p.depth) / (shortest_split * tiles[0].depth));
  std::size_t choice = 0;
  if (blocks(tiles[0]) < 2 * wanted - multiprocessors / 4) choice = 1;
  if (blocks(tiles[1]) * most < wanted / 2) choice = 2;
  c.tile = tiles[(choice + static_cast<std::size_t>(variant)) % std::size(tiles)];
  c.splits = std::clamp<std::int64_t>(wanted / std::max<std::int64_t>(1, blocks(c.tile)), 1, most);
}

}  // namespace

void cut_contraction(CudaContraction& c, const GpuTraits& gpu, int variant) {
  if (c.is_direct) return cut_direct(c, gpu.multiprocessors, variant);
  if (c.folds() && variant == 0 && fold_in_blocks(c, gpu)) return;
  struct Choice {
    double clocks;
    ContractionTile tile;
    std::int64_t splits;
  };
  std::vector<Choice> choices;
  const std::int64_t bytes_of_result = c.result_count * (c.dtype == DType::float64 ? 8 : 4);
  for (ContractionTile tile : tiles_for(c, gpu)) {
    const CudaContraction cut = with_tile(c, tile);
    std::int64_t most_tiles = 0;
    for (const ContractionPart& p : c.parts) most_tiles = std::max(most_tiles, cut_of(cut, p).depth_tiles);
    // One of them is being filled.
    tile.stages = static_cast<int>(std::clamp<std::int64_t>(most_tiles + 1, 2, tile.stages));
    Choice best{std::numeric_limits<double>::infinity(), tile, 1};
    for (std::int64_t splits = 1; splits <= (c.folds() ? 1 : most_splits);
         splits += splits < 8 ? 1 : splits / 4) {
      if (splits > 1 &&
          (most_tiles < splits * shortest_split || splits * bytes_of_result > most_partial_bytes))
        break;
      const double clocks = clocks_of(c, tile, splits, gpu.multiprocessors);
      if (clocks < best.clocks) best = {clocks, tile, splits};
    }
    choices.push_back(best);
  }
  std::ranges::stable_sort(choices, {}, &Choice::clocks);
  const Choice& chosen = choices[std::min(static_cast<std::size_t>(variant), choices.size() - 1)];
  c.tile = chosen.tile;
  c.splits = chosen.splits;
}

}  // namespace croton
