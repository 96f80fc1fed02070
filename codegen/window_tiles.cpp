#include "croton/codegen/window_tiles.h"

#include <cmath>
#include <map>
#include <numeric>

#include "croton/ops/indexing.h"

namespace croton {

namespace {

constexpr std::size_t fewest_windows = 3;
// Elements of a result below which everything stays in the second-level cache.
constexpr std::int64_t least_tiled = 1 << 22;
// Neighbours along the axis of the windows, and elements of a tile, of which a few lie in the cache together.
constexpr std::int64_t fewest_neighbours = 4, most_neighbours = 32;
constexpr std::int64_t tile_elements = 2048;
// Elements side by side: whole sectors of memory, and a multiple of those accessed together.
constexpr std::int64_t shortest_side = 32, side_unit = 4;

/// The axis along which at least three inputs are windows of one tensor.
std::optional<std::size_t> axis_of_windows(const Node& node) {
  std::map<const Node*, std::vector<std::vector<AxisSelection>>> windows;
  for (const Variable& input : node.inputs()) {
    const Node& view = *input.node();
    if (!view.is_apply() || &view.op() != &subtensor_op()) continue;
    if (auto selection = static_selection(view, view.input(0).type().shape))
      windows[view.input(0).node()].push_back(std::move(*selection));
  }
  for (const auto& [base, selections] : windows) {
    if (selections.size() < fewest_windows) continue;
    std::optional<std::size_t> found;
    for (std::size_t axis = 0; axis < selections[0].size(); ++axis) {
      bool is_shifted = false, fits = true;
      for (const auto& selection : selections) {
        fits = fits && !selection[axis].dropped && selection[axis].step == 1;
        is_shifted = is_shifted || selection[axis].start != selections[0][axis].start;
      }
      if (!fits || (is_shifted && found)) return std::nullopt;
      if (is_shifted) found = axis;
    }
    if (found) return found;
  }
  return std::nullopt;
}

std::int64_t largest_divisor(std::int64_t extent, std::int64_t most) {
  for (std::int64_t d = std::min(extent, most); d > 1; --d) {
    if (extent % d == 0) return d;
  }
  return 1;
}

/// The divisor that is a multiple of side_unit and next to `wanted`; 0 where there is none.
std::int64_t side_of(std::int64_t extent, std::int64_t wanted) {
  std::int64_t best = 0;
  for (std::int64_t d = side_unit; d <= extent && d <= 4 * wanted; d += side_unit) {
    if (extent % d != 0 || d < shortest_side) continue;
    const auto away = [&](std::int64_t side) {
      return std::abs(std::log(static_cast<double>(side) / static_cast<double>(wanted)));
    };
    if (best == 0 || away(d) < away(best)) best = d;
  }
  return best;
}

}  // namespace

std::optional<IterationSpace> tile_windows(const Node& node, const Shape& shape,
                                           std::span<const Layout> operands) {
  if (shape.count() < least_tiled) return std::nullopt;
  const std::optional<std::size_t> axis = axis_of_windows(node);
  if (!axis) return std::nullopt;
  const IterationSpace all = iterate(shape, operands);
  std::vector<std::size_t> before(*axis), behind(shape.size() - *axis - 1);
  std::iota(before.begin(), before.end(), std::size_t{0});
  std::iota(behind.begin(), behind.end(), *axis + 1);
  IterationSpace outer = all.only(before), inner = all.only(behind);
  outer.simplify(/*reorder=*/false);
  inner.simplify(/*reorder=*/false);
  if (inner.loops() != 1) return std::nullopt;
  const std::int64_t neighbours = largest_divisor(shape[*axis], most_neighbours);
  if (neighbours < fewest_neighbours) return std::nullopt;
  const std::int64_t side = side_of(inner.extents[0], tile_elements / neighbours);
  if (side == 0) return std::nullopt;
  IterationSpace tiled;
  tiled.extents = outer.extents;
  for (const std::int64_t extent : {inner.extents[0] / side, shape[*axis] / neighbours, neighbours, side})
    tiled.extents.push_back(extent);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    std::vector<std::int64_t> strides = outer.strides[i];
    const std::int64_t along = all.strides[i][*axis], aside = inner.strides[i][0];
    if (aside != 0 && aside != 1) return std::nullopt;
    for (const std::int64_t stride : {side * aside, neighbours * along, along, aside})
      strides.push_back(stride);
    tiled.strides.push_back(std::move(strides));
  }
  return tiled;
}

}  // namespace croton
