#pragma once

#include <string>

#include "croton/graph/op.h"

namespace croton {

/// "[(0, 1)]": the pairs (output, input) computed in place, as debugprint shows them; "" for none.
std::string inplace_suffix(const Op& op, const Node& node);

}  // namespace croton
