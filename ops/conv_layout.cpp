#include "croton/ops/conv_layout.h"

#include <algorithm>
#include <numeric>

namespace croton {

std::string_view name_of(ConvLayout layout) {
  switch (layout) {
    case ConvLayout::b01c:
      return "b01c";
    case ConvLayout::c01b:
      return "c01b";
    default:
      return "bc01";
  }
}

std::vector<std::int64_t> axes_into(ConvLayout layout, std::size_t axes) {
  std::vector<std::int64_t> pattern(axes);
  std::iota(pattern.begin(), pattern.end(), 0);
  // One axis goes behind all others: that of the channels, or of the batch.
  const auto moved = pattern.begin() + (layout == ConvLayout::b01c ? 1 : 0);
  if (layout != ConvLayout::bc01) std::rotate(moved, moved + 1, pattern.end());
  return pattern;
}

std::vector<std::int64_t> axes_out_of(ConvLayout layout, std::size_t axes) {
  const std::vector<std::int64_t> into = axes_into(layout, axes);
  std::vector<std::int64_t> pattern(axes);
  for (std::size_t i = 0; i < axes; ++i)
    pattern[static_cast<std::size_t>(into[i])] = static_cast<std::int64_t>(i);
  return pattern;
}

Shape permuted(const Shape& shape, const std::vector<std::int64_t>& pattern) {
  Shape result;
  for (const std::int64_t axis : pattern) result.push_back(shape[static_cast<std::size_t>(axis)]);
  return result;
}

}  // namespace croton
