#pragma once

#include "croton/graph/function_graph.h"

namespace croton {

/// Opens the libraries that the nodes of a function's graph may ask for, once a process, on a thread of its
/// own: while the device is started, the graph optimized and code fetched. Who needs a library before it is
/// there waits for it. Never throws: what is missing is told when it is needed.
void start_cuda_libraries(const FunctionGraph& graph);
/// Opens all of them, and waits until they are.
void open_cuda_libraries();

}  // namespace croton
