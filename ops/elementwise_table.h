#pragma once

#include <vector>

#include "croton/ops/elementwise.h"

namespace croton {

/// The rows of one kind, in the order of the table; each function has a file of its name.
std::vector<ElementwiseRow> arithmetic_rows();
std::vector<ElementwiseRow> exponential_rows();
std::vector<ElementwiseRow> trigonometric_rows();
std::vector<ElementwiseRow> special_rows();
std::vector<ElementwiseRow> logic_rows();
std::vector<ElementwiseRow> selection_rows();

/// All rows.
std::vector<ElementwiseRow> elementwise_table();

}  // namespace croton
