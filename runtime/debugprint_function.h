#pragma once

#include <initializer_list>
#include <span>
#include <string>

#include "croton/graph/debugprint.h"
#include "croton/runtime/function.h"

namespace croton {

/// Prints what a function computes: the graph that ran last, or while nothing has run and shapes are open the
/// general graph. Updates follow the outputs. Of a profiled function that has run each line ends with
/// "--> 1.00e-03s 12.3% 4.00e-03s 50.0%": the node's own time in all calls and its share, and the time of all
/// that it needs, itself included.
CROTON_API void debugprint(const Function& function, const DebugprintOptions& options = {});
/// The graph that runs for arguments of these shapes.
CROTON_API void debugprint(const Function& function, std::span<const Shape> shapes,
                           const DebugprintOptions& options = {});
CROTON_API void debugprint(const Function& function, std::initializer_list<Shape> shapes,
                           const DebugprintOptions& options = {});

/// The same as text.
CROTON_API std::string debugprint_text(const Function& function, const DebugprintOptions& options = {});

}  // namespace croton
