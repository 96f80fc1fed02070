#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "croton/codegen/kernel_builder.h"
#include "croton/ops/conv_tiles.h"

namespace croton {

/// A buffer of planes: element `at` of plane f at f * pitch + at.
struct Planes {
  Buffer buffer;
  std::int64_t pitch = 0;
};

/// One side of the products of a frequency: number (i, s) of plane f at base + f * pitch + i * row + s * sum.
struct Factor {
  Planes planes;
  Index base;
  std::int64_t row = 0, sum = 0;
};

/// Products of transformed tiles: for each frequency a matrix product, of complex numbers (the first factor
/// conjugated) where the transform gives such.
class TileProducts {
 public:
  TileProducts(KernelBuilder& builder, const ConvTiles& tiles, DType dtype)
      : b_(builder), tiles_(tiles), dtype_(dtype) {}

  /// result(i, lane) = sum over `terms` for all rows i and lanes, of one frequency and group, on one thread
  /// of a CPU. Parts of the terms go first, then rows: what the lanes need of a part stays in the cache.
  void multiply(const Factor& row_factor, const Factor& lane_factor, const Factor& result, Index frequency,
                std::int64_t rows, Index lanes, std::int64_t most_lanes, std::int64_t terms);

  /// The same for all frequencies and groups on a GPU, some rows of a lane a thread. The factors' bases are
  /// those of group 0, `group_steps` from one group to the next.
  void multiply_on_gpu(const Factor& row_factor, const Factor& lane_factor, const Factor& result,
                       const std::array<std::int64_t, 3>& group_steps, std::int64_t rows, std::int64_t lanes,
                       std::int64_t terms, std::int64_t groups);

 private:
  struct Sums {
    std::vector<Local> re, im;
  };
  Sums zero_sums(std::int64_t rows);
  void add_to(Local sum, ScalarValue x, ScalarValue y, ScalarOp op = ScalarOp::add);
  void accumulate(const Sums& sums, const Factor& row_factor, const Factor& lane_factor, Index frequency,
                  const std::function<Index(std::int64_t)>& row, Index lane, Index begin, Index end);

  KernelBuilder& b_;
  const ConvTiles tiles_;
  const DType dtype_;
};

}  // namespace croton
