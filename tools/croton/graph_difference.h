#pragma once

#include <string>

#include <croton/graph/function_graph.h>

/// Which nodes of two graphs are equal with all that computes them, which changed (other operands, or another
/// op in the same place), which vanished and appeared; a line each, with the ids that debugprint shows.
std::string graph_difference_text(const croton::FunctionGraph& before, const croton::FunctionGraph& after,
                                  bool color);
