#pragma once

#include <string>

#include <croton/graph/function_graph.h>

/// The graph as JSON: inputs, nodes in the order of execution, outputs; every variable by an id that is
/// unique in the text ("n3" the first output of node 3, "n3.1" its second, "x0" a leaf).
std::string graph_json(const croton::FunctionGraph& graph, const std::string& name);
