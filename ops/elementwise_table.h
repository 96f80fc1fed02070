#pragma once

#include <vector>

#include "croton/ops/elementwise.h"

namespace croton {

/// The rows, as elementwise_table.cpp writes them.
std::vector<ElementwiseRow> elementwise_table();

}  // namespace croton
