#pragma once

#include <string>

#include "croton/graph/function_graph.h"
#include "croton/graph/variable.h"

namespace croton {

/// The expression as mathematics: operators in parentheses with spaces, `tanh((dot(x, w) + b))`, other ops by
/// their labels. Named inputs stand for themselves. A value that is used several times is spelled out each
/// time while it is short; a longer one gets a name in a line before ("t0 = …").
CROTON_API std::string pp(const Variable& variable);
/// The outputs of a graph, a line each.
CROTON_API std::string pp(const FunctionGraph& graph);

}  // namespace croton
