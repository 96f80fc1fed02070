#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/optimizer/optimizer.h"
#include "croton/optimizer/rule.h"

namespace croton {

/// What a pass gets beside the graph.
struct PassContext {
  const Query& query;
  const SpecializeOptions& options;
};

/// One step of the optimizer: rules applied to a fixed point, or a pass over the whole graph.
struct RewritePhase {
  std::string name;
  std::vector<std::string> tags;
  /// Left out by FAST_COMPILE.
  bool costly = false;
  /// Runs whatever the query says: nothing could be computed without it.
  bool essential = false;
  std::vector<const RuleSet*> rules;
  std::function<void(FunctionGraph&, const PassContext&)> pass;
};

/// Runs the phases that the query selects, one after the other. A pass that fails is left with a warning (or
/// ends in its error: `on_opt_error`), but for essential ones. Report and observer may be null.
void run_phases(const std::vector<RewritePhase>& phases, FunctionGraph& graph, const PassContext& context,
                OptimizerReport* report = nullptr, OptimizerObserver* observer = nullptr);

/// What optimize() does, in this order.
const std::vector<RewritePhase>& general_phases();
/// What specialize() does, in this order.
const std::vector<RewritePhase>& specialize_phases();

/// Adds rules that a program defines to the end of a phase of rules ("canonicalize", "stabilize", "blas",
/// "specialize", "static_shapes"). Before the first function is made, and before a mode or query names them;
/// ValueError for an unknown phase or when it is too late.
void register_rules(std::string_view phase, RuleSet rules);

/// Every name and tag that a query may mention: rules, phases, implementations of convolutions.
const std::vector<std::string_view>& rewrite_names();

}  // namespace croton
