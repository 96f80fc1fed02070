#pragma once

#include <optional>
#include <span>

#include "croton/codegen/iteration_space.h"
#include "croton/graph/node.h"

namespace croton {

/// The loops of elementwise work on windows of one tensor that are shifted along an axis, as a local response
/// norm sums neighbouring channels, for a GPU: by tiles of neighbours along that axis and the axes behind it,
/// so that what several windows share is read from memory once and comes from the first-level cache after
/// that. Nothing for other work, or where no tile fits.
std::optional<IterationSpace> tile_windows(const Node& node, const Shape& shape,
                                           std::span<const Layout> operands);

}  // namespace croton
