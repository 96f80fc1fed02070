#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/shape.h"

namespace croton {

/// In which order the axes of images, filters and outputs lie in memory.
enum class ConvLayout : std::uint8_t {
  bc01,  ///< [batch, channels, image…], filters [filters, channels / groups, kernel…]
  b01c,  ///< channels last: [batch, image…, channels], filters [filters, kernel…, channels / groups]
  c01b   ///< [channels, image…, batch], filters [channels / groups, kernel…, filters]
};

/// "bc01", "b01c", "c01b".
CROTON_API std::string_view name_of(ConvLayout layout);

/// The pattern of a dimshuffle that brings a tensor of so many axes from bc01 into a layout.
CROTON_API std::vector<std::int64_t> axes_into(ConvLayout layout, std::size_t axes);
/// And back.
CROTON_API std::vector<std::int64_t> axes_out_of(ConvLayout layout, std::size_t axes);

/// A shape with its axes in another order.
CROTON_API Shape permuted(const Shape& shape, const std::vector<std::int64_t>& pattern);

}  // namespace croton
