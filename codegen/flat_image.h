#pragma once

#include <cstdint>
#include <vector>

#include "croton/codegen/correlation.h"
#include "croton/codegen/kernel_builder.h"

namespace croton {

/// Taps of one axis that read the same plane: tap + j * tap_step < taps of the axis reads element
/// q + offset + j * offset_step of that plane for result q, for 0 <= j < count.
struct TapGroup {
  std::int64_t tap = 0, tap_step = 1, count = 0;
  std::int64_t plane = 0;
  std::int64_t offset = 0, offset_step = 0;
};

/// One axis of a source, padded with zeros and dealt out to `planes` planes: element planes * i + plane of
/// the padded axis is element i of its plane, so that a strided correlation reads neighbours.
struct FlatAxis {
  std::int64_t source = 0;  // elements before
  std::int64_t planes = 1;  // the stride
  std::int64_t begin = 0;   // what element 0 of plane 0 is in the source; 0 or negative
  std::int64_t extent = 0;  // elements of each plane
  /// Elements [first, last) of a plane come from the source, the others are zeros.
  std::int64_t first(std::int64_t plane) const;
  std::int64_t last(std::int64_t plane) const;
};

FlatAxis flat_axis(const CorrelationAxis& axis);
std::vector<TapGroup> tap_groups(const FlatAxis& axis, const AxisPhase& phase);

/// An image laid out so that results lie side by side whatever their row: result (y, x) is position
/// y * pitch + x of a run, and a tap is a constant shift of it. Between rows lie positions that mean nothing.
struct FlatImage {
  FlatAxis rows, columns;
  std::int64_t channels = 0;

  std::int64_t pitch() const { return columns.extent; }
  std::int64_t plane() const { return rows.extent * columns.extent; }
  std::int64_t planes() const { return rows.planes * columns.planes; }
  /// Elements of all channels, with `slack` zeros behind them that a whole vector may read.
  std::int64_t size(std::int64_t slack) const { return channels * planes() * plane() + slack; }
  /// Positions from the first result to the last.
  std::int64_t run(std::int64_t result_rows, std::int64_t result_columns) const {
    return result_rows == 0 || result_columns == 0 ? 0 : (result_rows - 1) * pitch() + result_columns;
  }
};

/// Writes one channel of an image (contiguous, from `from_begin`) to its place; zeros must be there already.
void load_flat_channel(KernelBuilder& b, const FlatImage& flat, Buffer to, Index to_begin, Buffer from,
                       Index from_begin);

}  // namespace croton
