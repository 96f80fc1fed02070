#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/lower.h"
#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/ops/conv_problem.h"

namespace croton {

struct Product;  // lower_product.h

/// A sum of products as one tiled matrix product on a GPU, whose operands are gathered by affine maps:
///
///     result[row, column] = sum over depth of gathered[row, depth] * packed[depth, column]
///
/// for every index of a batch. Rows, columns and depth are several loop indices each (images and positions;
/// filters; channels and taps), of which the last runs fastest. Convolutions in all directions, with
/// strides, dilation, padding and groups are of that form, as are products of matrices. Three launches
/// compute a convolution: one brings the packed operand into the order in which tensor cores take it, one
/// multiplies, and where the depth is cut into parts (`splits`) the third adds up their results, always in
/// the same order. A product of matrices is one launch: both operands are fetched as they lie. Where a
/// contraction folds, its result is a matrix in memory, and the last launch adds up what lies on each other;
/// or blocks do both, and the matrix stays in their shared memory.

/// An affine function of the loop indices: base + sum of strides * indices, in elements.
struct AffineIndex {
  std::int64_t base = 0;
  std::int64_t batch = 0;
  std::vector<std::int64_t> rows, columns, depth;  ///< a stride a loop
};

/// Where an operand has an element: it exists where 0 <= at < extent for all bounds, and is zero elsewhere;
/// what does not exist of the result is not stored.
struct ContractionOperand {
  struct Bound {
    AffineIndex at;
    std::int64_t extent = 0;
  };
  AffineIndex place;
  std::vector<Bound> bounds;
};

/// What is one matrix product. The gradient with respect to the inputs of a convolution with stride is made
/// of several, one for each remainder of the positions; they have the same loops, with other extents.
struct ContractionPart {
  std::vector<std::int64_t> rows, columns, depth;  ///< extents
  ContractionOperand gathered, packed, result;
  /// Images as far as taps reach from the rows, padding included: the extents of image and axes. `source`:
  /// where an element of them lies in the gathered operand (its loops are these extents, as rows). `padded`:
  /// where rows and taps (depth without its first loop, the channels) find theirs among them, in C order.
  /// Nothing where rows and depth are something else.
  std::vector<std::int64_t> padded_extents;
  ContractionOperand source, padded;
};

/// How products are computed. Sums are always in float32 (float64 for fp64).
enum class ContractionArithmetic : std::uint8_t {
  fp32,    ///< fused multiply-add
  fp64,    ///< the same in float64
  tf32,    ///< tensor cores, factors rounded to 11 significant bits
  tf32x3,  ///< three products of the halves of each factor: 22 bits
  bf16,    ///< factors of 8 bits
  fp16,    ///< factors of float16
  /// Three products of halves in float16: 22 bits of each factor that is within 2^-17 of its operand's
  /// largest, whose scale is found first; of smaller ones what is above 2^-39 of that. Twice as fast as
  /// tf32x3.
  fp16x3,
};
CROTON_API std::string to_string(ContractionArithmetic arithmetic);
CROTON_API std::optional<ContractionArithmetic> parse_contraction_arithmetic(const std::string& name);

/// The cut of the work. A block of threads computes rows x columns of the result, depth at a time.
struct ContractionTile {
  int warps_rows = 2, warps_columns = 2;
  int row_units = 4;     ///< of a warp, 16 rows each
  int column_units = 4;  ///< 8 columns each
  int depth = 16;        ///< a multiple of 16
  int stages = 3;        ///< tiles that are on their way from memory, or used
  /// Four warps multiply together (wgmma), all with the same columns: warps_rows is a multiple of 4,
  /// warps_columns and row_units 1.
  bool by_groups = false;
  /// Positions of the padded images that the rows of a tile and all taps reach, of which a block of
  /// `by_groups` keeps every channel (or those of a tile's depth) in shared memory, so that each is fetched
  /// once and not once a tap. 0: every tile fetches what it multiplies.
  int patch = 0;

  int threads() const { return 32 * warps_rows * warps_columns; }
  int rows() const { return 16 * warps_rows * row_units; }
  int columns() const { return 8 * warps_columns * column_units; }
  friend bool operator==(const ContractionTile&, const ContractionTile&) = default;
};

/// What becomes of the sums of a product of matrices: alpha * sum + beta * addend, each where it is there.
/// Numbers of the kernel's buffers behind those of emit_contraction; -1: absent.
struct ContractionFinish {
  int alpha = -1, beta = -1, addend = -1;
  std::int64_t addend_row = 0, addend_column = 0;  ///< strides along the contraction's rows and columns
};

/// The gradient with respect to the inputs, from products for every output and tap, which are added up where
/// they belong (col2im). Its axes; none: nothing is folded.
struct ContractionFold {
  struct Axis {
    std::int64_t inputs = 0, outputs = 0, taps = 0, stride = 1, dilation = 1, pad = 0;
  };
  std::vector<Axis> axes;
  std::int64_t images = 0, channels = 0;  ///< of all groups
  bool flip = false;                      ///< the first tap is the last element of a filter
  /// Blocks that fold what they multiply, in shared memory: the channels and images of a block, its shares of
  /// four warps each (of the outputs along the first axis where a block has one image, else of the images),
  /// and the outputs of a tile by axis, which are neighbours in memory. No channels: the products are a
  /// matrix in memory.
  struct Blocks {
    std::int64_t channels = 0, images = 1;
    int shares = 0;
    std::vector<std::int64_t> outputs;
  } blocks;

  bool is_in_blocks() const { return blocks.channels > 0; }
  std::int64_t product_of(std::int64_t Axis::* extent) const;
  /// Elements of the matrix: by channel, tap, image and output, in C order.
  std::int64_t count() const;
};

struct CROTON_API CudaContraction {
  /// Which loop neighbouring threads run through when they fetch the gathered operand: the one in which its
  /// elements are neighbours.
  enum class Lanes : std::uint8_t { rows, depth };

  DType dtype = DType::float32;
  ContractionArithmetic arithmetic = ContractionArithmetic::fp32;
  Lanes lanes = Lanes::rows;
  /// The other operand is fetched as it lies, too, by threads that are neighbours in `other_lanes` (columns
  /// for rows); the block of a tile that ends last adds up the splits.
  bool is_direct = false;
  Lanes other_lanes = Lanes::rows;
  ContractionFinish finish;
  std::int64_t batch = 1;
  std::vector<ContractionPart> parts;
  ContractionTile tile;
  std::int64_t splits = 1;
  ContractionFold fold;
  /// Elements; operands are C-contiguous.
  std::int64_t gathered_count = 0, packed_count = 0, result_count = 0;
  /// Which operand of the node is gathered; the other one is packed.
  int gathered_input = 0;

  bool is_tensor_core() const {
    return arithmetic != ContractionArithmetic::fp32 && arithmetic != ContractionArithmetic::fp64;
  }
  /// Elements are split into halves before they are gathered.
  bool is_scaled() const { return arithmetic == ContractionArithmetic::fp16x3; }
  bool folds() const { return !fold.axes.empty(); }
  /// Whether products go to memory of partial_bytes, from where another launch adds them up.
  bool has_partial() const { return folds() ? !fold.is_in_blocks() : splits > 1 && !is_direct; }
  /// Bytes of the packed operand in its new order (and of the gathered one in halves), and of the results of
  /// splits, or of the matrix to be folded.
  std::int64_t packed_bytes() const;
  std::int64_t partial_bytes() const;
};

/// The CUDA C++ of a contraction without its prelude; functions are called after `name`. The kernel's
/// buffers: gathered, packed, result, memory of packed_bytes, memory of partial_bytes.
CudaSource emit_contraction(const CudaContraction& contraction, const std::string& name);

/// What a contraction's code needs in front of it beside cuda_prelude: instructions of a GPU, which tests
/// replace, and the loops around them.
CROTON_API std::string_view contraction_device_prelude();
CROTON_API std::string_view contraction_prelude();

/// The contraction by plain loops on the host, sums in float64: what its code is tested with. Buffers as in
/// emit_contraction.
CROTON_API void evaluate_contraction(const CudaContraction& contraction, void* const* buffers);

/// The convolution as a contraction, not cut yet. Nothing for what has more than 2^31 elements.
CROTON_API std::optional<CudaContraction> contraction_of(const ConvProblem& problem,
                                                         ContractionArithmetic arithmetic);

/// The gradient with respect to the inputs as products that are folded: fewer factors are fetched where there
/// are few channels. Nothing for other directions.
CROTON_API std::optional<CudaContraction> folded_contraction_of(const ConvProblem& problem,
                                                                ContractionArithmetic arithmetic);

/// A product of float32 matrices as a contraction, not cut yet; its columns are gathered. The kernel's
/// buffers behind the five are addend, alpha and beta, those that are there. Nothing for what has more than
/// 2^31 elements, and for operands without neighbours side by side.
CROTON_API std::optional<CudaContraction> contraction_of(const Product& product,
                                                         ContractionArithmetic arithmetic);

/// What ContractionTile::patch is for this cut of the rows; 0: rows and taps are not positions of images.
CROTON_API int patch_of_tile(const CudaContraction& contraction, const ContractionTile& tile);

/// Chooses the tile and the splits by an estimate of the time on a GPU. `variant` > 0: the tile that the
/// estimate puts behind so many others.
CROTON_API void cut_contraction(CudaContraction& contraction, const GpuTraits& gpu, int variant = 0);

}  // namespace croton
