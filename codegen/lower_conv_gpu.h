#pragma once

#include <cstdint>
#include <optional>

#include "croton/codegen/kernel_builder.h"

namespace croton {

/// Tiles of `tile` elements that cover an extent.
inline std::int64_t tiles_of(std::int64_t extent, std::int64_t tile) { return (extent + tile - 1) / tile; }

/// An element of one axis of an image, and whether it exists; no condition where that is known.
struct ImageElement {
  Index at;
  std::optional<ScalarValue> exists;
};
ImageElement image_element(KernelBuilder& b, Index at, std::int64_t extent);

/// Where both hold; nothing, which holds everywhere, where neither is one.
std::optional<ScalarValue> both(KernelBuilder& b, const std::optional<ScalarValue>& x,
                                const std::optional<ScalarValue>& y);

/// Element (row, column) of the plane that begins at `plane`, with `pitch` elements a row; 0 where it does
/// not exist.
ScalarValue load_image(KernelBuilder& b, Buffer image, Index plane, std::int64_t pitch,
                       const ImageElement& row, const ImageElement& column);

}  // namespace croton
