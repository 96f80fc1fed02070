#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "croton/codegen/correlation.h"
#include "croton/codegen/lower_context.h"

namespace croton {

/// What a user may say about the generated loops of one convolution (attributes unroll_batch, unroll_kern,
/// unroll_patch, openmp); nothing where the best is left to choose.
struct ConvTuning {
  std::optional<std::int64_t> unroll_batch;  // images at once: lanes of the vectors, where that is possible
  std::optional<std::int64_t> unroll_kern;   // filters at once: rows of the tile in registers
  std::optional<bool> unroll_patch;          // whether the loop over a kernel row is written out
  bool openmp = true;                        // several threads
};

// Accumulators, the source vectors in use and a weight stay in 32 vector registers.
constexpr std::int64_t conv_registers = 31;
// Beyond so many kernel columns the loop over them is not written out.
constexpr std::int64_t most_unrolled_taps = 12;

// Cycles to fetch a vector of elements of a batch and move it to lanes, or back; and to fetch an element of a
// row of which every second or fewer are wanted. Measured on Zen 4.
constexpr double batch_move_cycles = 9, strided_element_cycles = 2;

/// How a range is cut into tiles of nearly equal size: `large` tiles of size + 1, then `small` of size.
struct TileSplit {
  std::int64_t size = 0, large = 0, small = 0;
  std::int64_t tiles() const { return large + small; }
};
TileSplit split_evenly(std::int64_t extent, std::int64_t most);

/// The register tile: results side by side, positions side by side.
struct ConvTile {
  std::int64_t results = 1, positions = 1;
};

/// How the images of a block lie in scratch memory with the batch innermost: element (channel, row, column)
/// of all images at ((channel * channel_pitch) + row * row_pitch + column) * lanes.
struct LaneLayout {
  std::int64_t channels = 0, rows = 0, columns = 0;
  std::int64_t row_pitch = 0, channel_pitch = 0;
  std::int64_t lanes = 0;
  std::int64_t between = 0;  ///< elements from an image to the next, before they are moved
  std::int64_t image() const { return channels * rows * columns; }
};

/// A vector's worth of elements of the dtype that is computed in.
std::int64_t conv_lanes(DType dtype);

/// Moves `images` images, which begin at `from_begin` one after the other, into that layout.
void load_lanes(KernelBuilder& b, const LaneLayout& layout, Buffer to, Index to_begin, Buffer from,
                Index from_begin, std::int64_t images);

/// to[to_begin + i] = from[from_begin + i] for 0 <= i < count, and zeros behind it up to whole vectors: what
/// a masked store has just written is slow to load.
void copy_in_vectors(KernelBuilder& b, Buffer to, Index to_begin, Buffer from, Index from_begin,
                     std::int64_t count, std::int64_t lanes);

/// result[i] = the sum of `chunks` times `lanes` partial sums of each of `weights` weights, in a fixed order;
/// those of a chunk at ((chunk * weights) + i) * lanes.
void add_partial_sums(KernelBuilder& b, Buffer result, Buffer partial, std::int64_t chunks,
                      std::int64_t weights, std::int64_t lanes);

/// Work cut in tasks: blocks of images in chunks that run one after the other, and within a chunk, where
/// there are fewer blocks than threads, parts of the groups or of the filters of each.
struct ConvTasks {
  std::int64_t blocks = 0, per_chunk = 0, chunks = 0, parts = 1;
  bool has_parts_of_groups = false;
  std::int64_t count() const { return chunks * parts; }
};
/// `scratch`: elements of scratch memory that a task needs for itself.
ConvTasks conv_tasks(std::int64_t blocks, std::int64_t groups, std::int64_t filter_tiles,
                     std::int64_t scratch, int threads);
/// begin and end of part `part` of the groups, and of `count` tiles of a group.
std::pair<Index, Index> groups_of(const ConvTasks& tasks, Index part, std::int64_t groups);
std::pair<Index, Index> share_of(const ConvTasks& tasks, Index part, std::int64_t count);

/// backward_weights in the same way: sums over the lanes at the end, and partial sums of chunks of the batch
/// that are added in a fixed order.
NodeCode lower_conv_weights_batch_lanes(const LowerContext& context, const ConvProblem& problem,
                                        const ConvTuning& tuning);

/// Forward and backward_inputs with the images of the batch as lanes of the vectors: blocks of a vector's
/// worth of images are transposed so that the batch runs innermost.
NodeCode lower_conv_batch_lanes(const LowerContext& context, const Correlation& correlation,
                                const ConvTuning& tuning);

/// Estimated cycles of one core for the whole batch.
double batch_lanes_cycles(const Correlation& correlation, const ConvTuning& tuning);

/// The same one image at a time, with neighbouring positions of the result as lanes: for small batches and
/// large images.
NodeCode lower_conv_flat_lanes(const LowerContext& context, const Correlation& correlation,
                               const ConvTuning& tuning);
ConvTile flat_lanes_tile(const Correlation& correlation, const ConvTuning& tuning);
double flat_lanes_cycles(const Correlation& correlation, const ConvTuning& tuning);

/// backward_weights one image at a time, with neighbouring positions of the output as lanes: nothing but the
/// image is moved. Estimated cycles of one core for the whole batch, in either way.
NodeCode lower_conv_weights_flat_lanes(const LowerContext& context, const ConvProblem& problem,
                                       const ConvTuning& tuning);
double weights_flat_lanes_cycles(const ConvProblem& problem, const ConvTuning& tuning);
double weights_batch_lanes_cycles(const ConvProblem& problem);

/// One channel and one filter a group, stride 1: every plane by itself, in all directions. Only what
/// has_depthwise_loops says.
bool has_depthwise_loops(const ConvProblem& problem, int threads);
NodeCode lower_conv_depthwise(const LowerContext& context, const ConvProblem& problem,
                              const ConvTuning& tuning);

/// With filters of its own for every position of the output, in all directions, on a CPU and on a GPU.
NodeCode lower_conv_unshared(const LowerContext& context, const ConvProblem& problem);

/// On a GPU.
NodeCode lower_conv_on_gpu(const LowerContext& context, const Correlation& correlation);
NodeCode lower_conv_weights_on_gpu(const LowerContext& context, const ConvProblem& problem);

}  // namespace croton
