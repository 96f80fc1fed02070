#pragma once

#include <span>

#include "croton/codegen/lower.h"
#include "croton/graph/node.h"

namespace croton {

/// Floating-point operations that a node needs by its mathematics: 2mnk for a product of matrices, one an
/// element for an elementwise operation, one an element that is reduced. 0 where nothing is computed (copies,
/// views, indexing).
double operation_count(const Node& node, std::span<const Layout> inputs, std::span<const Layout> outputs);

}  // namespace croton
