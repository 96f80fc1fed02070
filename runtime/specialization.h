#pragma once

#include <memory>
#include <span>

#include "croton/graph/function_graph.h"
#include "croton/graph/shared_variable.h"
#include "croton/optimizer/optimizer.h"

namespace croton {

/// The same graph once more.
std::unique_ptr<FunctionGraph> copy_of(const FunctionGraph& graph);

/// A copy of a general graph for the shapes of one call. ShapeError where these do not fit: extents of 1 on
/// axes of unknown type do not broadcast.
std::unique_ptr<FunctionGraph> typed_graph(const FunctionGraph& general, const Tensor* const* inputs,
                                           SharedCell* const* shared);

/// Which outputs, from `first` on, are the new values of which shared variables.
SpecializeOptions specialize_options(const FunctionGraph& graph, std::size_t first,
                                     std::span<SharedCell* const> updated);

}  // namespace croton
