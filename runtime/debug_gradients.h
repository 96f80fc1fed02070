#pragma once

#include "croton/graph/function_graph.h"
#include "croton/runtime/debug_rewrites.h"

namespace croton {

/// Compares what Op::grad answers for every kind of node in the graph with central differences, at the values
/// of a call, in float64. Leaves out nodes of many elements and places where the function has a kink. Throws
/// BadGradient, which names the op.
void check_gradients(const FunctionGraph& graph, RewriteChecker& values);

}  // namespace croton
