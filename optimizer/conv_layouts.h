#pragma once

#include "croton/graph/variable.h"
#include "croton/ops/conv_layout.h"

namespace croton {

/// How the memory of an operand with the axes of bc01 lies: in the layout that it is transposed from, itself
/// or what it is made of by elementwise work; otherwise in bc01.
ConvLayout layout_in_graph(const Variable& operand);

/// The layout that all who use the output of a node transpose it into; bc01 where they do not agree.
ConvLayout layout_of_uses(const Node& node);

}  // namespace croton
