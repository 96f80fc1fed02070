#pragma once

#include <span>
#include <string_view>

#include "croton/graph/function_graph.h"
#include "croton/optimizer/query.h"

namespace croton {

/// Puts an implementation in the place of every abstract convolution of a graph with static shapes: the first
/// candidate that supports the problem, in the order that the query asks for. Where none does, an error lists
/// every candidate with its reason.
void choose_convolutions(FunctionGraph& graph, const Query& query);

/// The tags by which queries include and exclude implementations of convolutions.
std::span<const std::string_view> conv_tags();

}  // namespace croton
