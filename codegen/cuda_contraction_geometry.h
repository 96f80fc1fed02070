#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "croton/codegen/cuda_contraction.h"

namespace croton {

using LoopExtents = std::vector<std::int64_t>;

/// All indices of some loops.
std::int64_t index_count(const LoopExtents& extents);
inline std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
inline std::int64_t up_to_multiple(std::int64_t n, std::int64_t of) { return quotient_up(n, of) * of; }

/// How one part of a contraction is cut. Counts of indices, of tiles, of the 32-bit words that the packed
/// operand takes, and of the threads that pack it.
struct ContractionCut {
  std::int64_t rows = 0, columns = 0, depth = 0, row_tiles = 0, depth_tiles = 0;
  std::int64_t packed_words = 0, packed_threads = 0;
};
ContractionCut cut_of(const CudaContraction& contraction, const ContractionPart& part);

/// What a block keeps in shared memory where ContractionTile::patch is set.
struct PatchCut {
  bool is_resident = false;   ///< every channel at once; otherwise those of two tiles' depth, in turn
  std::int64_t pitch = 0;     ///< elements from channel to channel
  std::int64_t channels = 0;  ///< that lie side by side
  std::int64_t bytes() const {
    return 4 * pitch * (channels + (is_resident ? 1 : 0)) * (is_resident ? 1 : 2);
  }
};
PatchCut patch_cut(const CudaContraction& contraction);

/// Channels by whole tiles of the depth, tap after tap: neighbouring depths are neighbouring channels then.
/// Otherwise (few channels) the depth is one after the other.
bool has_channel_chunks(const CudaContraction& contraction);
/// So many taps have a bit each in a mask of those whose elements exist.
inline constexpr std::int64_t most_masked_taps = 32;

/// Of 24 bits: three products each, added up with less loss than tensor cores have, which cut where float32
/// rounds.
inline bool has_three_products(ContractionArithmetic a) {
  return a == ContractionArithmetic::tf32x3 || a == ContractionArithmetic::fp16x3;
}
/// Sums are made of the sums of tiles outside of tensor cores; a single tile's are the sums.
bool adds_up_tiles(const CudaContraction& contraction);

/// Of 16 x 8 factors of the packed operand.
int words_of_unit(ContractionArithmetic arithmetic);
/// Of shared memory, for the tiles that are on their way or used (or what is kept of images), without tables.
std::int64_t bytes_of_tiles(const CudaContraction& contraction);
/// Of a thread, about: sums, factors, and the rest.
int registers_of(const CudaContraction& contraction);

/// In front of the packed operand where the operands are scaled: the scales, and what blocks have found.
inline constexpr std::int64_t scale_words = 1024;

/// Units of 8 columns that four warps multiply together.
inline constexpr int warpgroup_column_units[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32};
/// Instructions of four warps, a part of contraction_device_prelude.
std::string_view warpgroup_device_prelude();

/// The parts of contraction_prelude: how operands are packed, how they are gathered, how tiles are
/// multiplied.
std::string_view contraction_operands();
std::string_view contraction_gathering();
std::string_view contraction_products();
std::string_view contraction_warpgroups();
std::string_view contraction_folding();
std::string_view contraction_folding_in_blocks();

/// Threads that fold a matrix in memory.
std::int64_t fold_threads(const CudaContraction& contraction);
/// What contraction_folding wants to know of the axes.
std::string fold_declarations(const CudaContraction& contraction);
/// Cuts a contraction that folds into blocks that keep their products in shared memory; false where these do
/// not fit there, or are too few for this GPU.
bool fold_in_blocks(CudaContraction& contraction, const GpuTraits& gpu);
/// Floats from a tap's products to the next one's in shared memory; the blocks of a launch, and their shared
/// memory.
std::int64_t fold_block_pitch(const CudaContraction& contraction);
std::int64_t fold_blocks(const CudaContraction& contraction);
std::int64_t fold_block_bytes(const CudaContraction& contraction);
/// What contraction_folding_in_blocks wants to know.
std::string fold_block_declarations(const CudaContraction& contraction);
/// On the host: the matrix, folded.
std::vector<double> folded(const ContractionFold& fold, const std::vector<double>& matrix);

}  // namespace croton
