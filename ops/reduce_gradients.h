#pragma once

#include "croton/graph/op.h"

namespace croton {

// The gradients of a reduction's input.
Variable gradient_of_sum(const Node& node, const Variable& gy);
/// Right where elements are 0: the product of the others, not a quotient.
Variable gradient_of_prod(const Node& node, const Variable& gy);
/// Of max and min: gy where the first extremum lies, 0 elsewhere.
Variable gradient_of_extremum(const Node& node, const Variable& gy);

}  // namespace croton
