#pragma once

#include "croton/graph/device.h"
#include "croton/graph/function_graph.h"

namespace croton {

/// Opens the libraries that the nodes of a function's graph may ask for, and where a device is given has them
/// load what they load once there; each once, on threads of their own, while the device is started, the graph
/// optimized and code fetched. Who needs a library before it is there waits for it. Never throws: what is
/// missing is told when it is needed.
void start_cuda_libraries(const FunctionGraph& graph, Device device = {});
/// The same of all libraries, and waits until it is done.
void open_cuda_libraries(Device device = {});

}  // namespace croton
