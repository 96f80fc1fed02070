#pragma once

#include <memory>
#include <string>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/runtime/function.h"

namespace croton {

/// What function() was asked for, checked: the graph in the compiler's hands, not yet optimized.
struct FunctionDefinition {
  std::string name;
  SourceLocation where;
  Mode mode;
  std::vector<In> inputs;
  std::vector<std::string> output_names;
  /// The targets of the updates, default ones included; the last outputs of the graph are their new values.
  std::vector<SharedVariable> updated;
  std::unique_ptr<FunctionGraph> graph;
  bool allow_input_downcast = false;
  Device device;
  double device_seconds = 0;  // that starting the device took
};

/// Checks inputs, updates and givens, finds default updates, clones the graph. Throws what function() does.
FunctionDefinition define_function(const std::vector<In>& inputs, const OutputList& outputs,
                                   const FunctionOptions& options, SourceLocation where);

}  // namespace croton
