#pragma once

#include <memory>
#include <span>

#include "croton/graph/export.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/shared_variable.h"
#include "croton/optimizer/optimizer.h"
#include "croton/runtime/function_definition.h"

namespace croton {

/// The same graph once more.
std::unique_ptr<FunctionGraph> copy_of(const FunctionGraph& graph);

/// A copy of a general graph for the shapes of one call. ShapeError where these do not fit: extents of 1 on
/// axes of unknown type do not broadcast.
std::unique_ptr<FunctionGraph> typed_graph(const FunctionGraph& general, const Tensor* const* inputs,
                                           SharedCell* const* shared);

/// optimizer_including=cudnn asks for a GPU with that library: FlagError or DeviceError elsewhere.
CROTON_API void check_cudnn(const Query& query, const Device& device);

/// What specialize() must know of the device that a graph is for: adds it to `options`, and gives the query
/// without the implementations of convolutions that nobody computes there.
CROTON_API Query for_device(const Device& device, SpecializeOptions& options, const Query& query);

/// specialize() for the graph of a function whose updates are those of the cells `updated`. `devices`: where
/// arguments lie; on the host when empty.
void specialize_function(FunctionGraph& graph, const FunctionDefinition& definition,
                         std::span<SharedCell* const> updated, std::vector<Device> devices,
                         OptimizerReport* report, OptimizerObserver* observer = nullptr);

}  // namespace croton
