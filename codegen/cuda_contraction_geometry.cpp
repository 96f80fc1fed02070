#include "croton/codegen/cuda_contraction_geometry.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <numeric>

namespace croton {

namespace {

constexpr std::array<const char*, 7> arithmetic_names = {"fp32", "fp64", "tf32",  "tf32x3",
                                                         "bf16", "fp16", "fp16x3"};

}  // namespace

std::int64_t index_count(const LoopExtents& extents) {
  std::int64_t count = 1;
  for (const std::int64_t e : extents) count *= e;
  return count;
}

int patch_of_tile(const CudaContraction& c, const ContractionTile& tile) {
  std::int64_t most = 0;
  for (const ContractionPart& p : c.parts) {
    if (p.padded_extents.empty()) return 0;
    const AffineIndex& at = p.padded.place;
    const std::int64_t rows = index_count(p.rows);
    const auto place = [&](std::int64_t row) {
      std::int64_t sum = 0;
      for (std::size_t l = p.rows.size(); l-- > 0; row /= p.rows[l]) sum += row % p.rows[l] * at.rows[l];
      return sum;
    };
    std::int64_t reach = 0;
    for (std::size_t l = 1; l < p.depth.size(); ++l)
      reach += std::max<std::int64_t>(0, p.depth[l] - 1) * std::abs(at.depth[l]);
    // From some image on tiles begin at the same positions again.
    const std::int64_t of_image = rows == 0 ? 0 : rows / p.rows[0];
    const std::int64_t period = std::lcm<std::int64_t>(std::max<std::int64_t>(1, of_image), tile.rows());
    for (std::int64_t first = 0; first < std::min(rows, period); first += tile.rows()) {
      const std::int64_t last = std::min(rows, first + tile.rows()) - 1;
      most = std::max(most, place(last) - place(first) + reach + 1);
    }
  }
  return static_cast<int>(std::min<std::int64_t>(most, std::numeric_limits<int>::max()));
}

PatchCut patch_cut(const CudaContraction& c) {
  // Two blocks share a multiprocessor.
  constexpr std::int64_t most_resident_bytes = 80 * 1024;
  // Depths d, d + 1 of lanes d = 0, 2, 4, 6 and eight rows side by side are in different banks.
  constexpr std::int64_t banks = 16, offset = 4;
  PatchCut cut;
  cut.pitch = up_to_multiple(std::max<std::int64_t>(0, c.tile.patch - offset), banks) + offset;
  for (const ContractionPart& p : c.parts) cut.channels = std::max(cut.channels, p.depth.front());
  cut.is_resident = true;
  if (cut.bytes() <= most_resident_bytes) return cut;
  cut.is_resident = false;
  cut.channels = c.tile.depth;
  return cut;
}

bool has_channel_chunks(const CudaContraction& c) {
  // Depths whose places are kept in shared memory, 16 bytes each.
  constexpr std::int64_t most_kept_depths = 1536;
  if (c.lanes != CudaContraction::Lanes::rows) return false;
  if (c.tile.patch > 0) return !patch_cut(c).is_resident;
  if (c.is_direct) return true;
  const std::int64_t channels = c.parts.front().depth.front();
  if (channels % c.tile.depth == 0) return true;
  std::int64_t most = 0;
  for (const ContractionPart& p : c.parts) most = std::max(most, index_count(p.depth));
  if (most > most_kept_depths) return true;
  // Some empty depths cost less than looking at bounds for each of them.
  constexpr double most_filled = 1.35;
  const bool has_padding = !c.parts.front().gathered.bounds.empty();
  return has_padding && channels > 0 && most / channels <= most_masked_taps &&
         static_cast<double>(up_to_multiple(channels, c.tile.depth)) <=
             most_filled * static_cast<double>(channels);
}

bool adds_up_tiles(const CudaContraction& c) {
  return has_three_products(c.arithmetic) &&
         std::ranges::any_of(c.parts, [&](const ContractionPart& p) { return cut_of(c, p).depth_tiles > 1; });
}

int words_of_unit(ContractionArithmetic a) {
  switch (a) {
    case ContractionArithmetic::tf32:
    case ContractionArithmetic::fp16x3:
      return 32 * 4;
    case ContractionArithmetic::tf32x3:
      return 32 * 8;
    case ContractionArithmetic::bf16:
    case ContractionArithmetic::fp16:
      return 32 * 2;
    case ContractionArithmetic::fp32:
      return 16 * 8;
    default:
      return 16 * 8 * 2;
  }
}

std::int64_t bytes_of_tiles(const CudaContraction& c) {
  using Lanes = CudaContraction::Lanes;
  const ContractionTile& t = c.tile;
  const std::int64_t value = c.dtype == DType::float64 ? 8 : 4;
  const std::int64_t packed =
      !c.is_direct ? 4 * std::int64_t{words_of_unit(c.arithmetic)} * (t.depth / 16) * (t.columns() / 8)
      : c.other_lanes == Lanes::rows ? value * t.depth * (t.columns() + 4)
                                     : value * t.columns() * (t.depth + 8);
  // Half floats wait in registers.
  const int stages = size_of(c.dtype) == 2 ? 2 : t.stages;
  if (t.patch > 0) return patch_cut(c).bytes() + stages * packed;
  const std::int64_t gathered =
      value * (c.lanes == Lanes::rows ? t.depth * (t.rows() + 4)
                                      : t.rows() * (t.depth + (c.is_tensor_core() ? 8 : 1)));
  return stages * (gathered + packed);
}

int registers_of(const CudaContraction& c) {
  constexpr int rest = 72, least = 96, most = 255;
  const ContractionTile& t = c.tile;
  if (!c.is_tensor_core()) return 168;
  const int sums = 4 * t.row_units * t.column_units;
  const int words = words_of_unit(c.arithmetic) / 32 * (t.depth / 16);
  if (!t.by_groups) return std::clamp(sums + words * t.column_units + rest, least, most);
  // The packed operand's factors stay in shared memory; long sums are made of tiles' sums.
  return std::clamp(sums * (adds_up_tiles(c) ? 2 : 1) + 2 * words + rest, least, most);
}

ContractionCut cut_of(const CudaContraction& c, const ContractionPart& p) {
  ContractionCut cut;
  cut.rows = index_count(p.rows);
  cut.columns = index_count(p.columns);
  cut.depth = index_count(p.depth);
  cut.row_tiles = (cut.rows + c.tile.rows() - 1) / c.tile.rows();
  cut.depth_tiles = has_channel_chunks(c) ? cut.depth == 0 ? 0
                                                           : up_to_multiple(p.depth[0], c.tile.depth) /
                                                                 c.tile.depth * (cut.depth / p.depth[0])
                                          : (cut.depth + c.tile.depth - 1) / c.tile.depth;
  const std::int64_t columns = up_to_multiple(cut.columns, c.tile.columns());
  const std::int64_t units = c.batch * cut.depth_tiles * (c.tile.depth / 16) * (columns / 8);
  if (c.is_direct) return cut;
  cut.packed_words = units * words_of_unit(c.arithmetic);
  cut.packed_threads = c.is_tensor_core() ? units * 32 : units * 16 * 8;
  return cut;
}

std::string to_string(ContractionArithmetic arithmetic) {
  return arithmetic_names[static_cast<std::size_t>(arithmetic)];
}

std::optional<ContractionArithmetic> parse_contraction_arithmetic(const std::string& name) {
  const auto found = std::ranges::find(arithmetic_names, name);
  if (found == arithmetic_names.end()) return std::nullopt;
  return static_cast<ContractionArithmetic>(found - arithmetic_names.begin());
}

std::int64_t CudaContraction::packed_bytes() const {
  std::int64_t words = 0;
  for (const ContractionPart& p : parts) words += cut_of(*this, p).packed_words;
  return 4 * (words + (is_scaled() ? scale_words + gathered_count : 0));
}

std::int64_t CudaContraction::partial_bytes() const {
  const std::int64_t value = dtype == DType::float64 ? 8 : 4;
  if (folds()) return has_partial() ? value * fold.count() : 0;
  if (splits == 1) return 0;
  if (!is_direct) return splits * result_count * value;
  const ContractionCut cut = cut_of(*this, parts.front());
  return 4 * splits * batch * cut.row_tiles * tile.rows() * up_to_multiple(cut.columns, tile.columns());
}

}  // namespace croton
