#pragma once

#include <string_view>
#include <vector>

#include "croton/graph/flags.h"
#include "croton/graph/function_graph.h"
#include "croton/optimizer/report.h"
#include "croton/optimizer/rule.h"

namespace croton {

struct RewriteOptions {
  /// Send a line for each application to the message sink.
  bool verbose = false;
  /// When a rule fails with an error: leave it out there (with a warning or without), or raise an
  /// InternalError that names it.
  OnOptError on_error = OnOptError::raise;
  /// A rule may apply this often for each node of the graph before it is stopped, with a warning that names
  /// it: it would go on forever, alone or against another rule.
  std::size_t applications_per_node = 8;
};

/// Applies the rules, in their order at each node, until none applies anywhere: a worklist, so that the work
/// is in proportion to the nodes and the changes. Writes what it did into `report`.
void rewrite(FunctionGraph& graph, const std::vector<const Rule*>& rules, OptimizerReport::Phase& report,
             const RewriteOptions& options = {});

}  // namespace croton
