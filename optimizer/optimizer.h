#pragma once

#include "croton/graph/function_graph.h"
#include "croton/optimizer/query.h"
#include "croton/optimizer/report.h"

namespace croton {

/// What specialize() must know of a function beside its graph.
struct SpecializeOptions {
  /// (position of an output, position in graph.shared()): that output is the new value of that shared
  /// variable and may be computed over the old one, once nobody needs the old value any more.
  std::vector<std::pair<std::size_t, std::size_t>> updates;
};

/// Watches the optimizer at work: hears of every change that a rule or pass makes, and of the phases.
class CROTON_API OptimizerObserver : public GraphListener {
 public:
  virtual void on_phase_begin(const FunctionGraph&, std::string_view /*phase*/) {}
  virtual void on_phase_end(const FunctionGraph&, std::string_view /*phase*/) {}
};

/// Rewrites a general graph, whose extents may be unknown: canonical forms, stability, products, special
/// forms. Convolutions stay abstract. The time is close to linear in the number of nodes.
CROTON_API void optimize(FunctionGraph& graph, const Query& query, OptimizerReport* report = nullptr,
                         OptimizerObserver* observer = nullptr);

/// Makes of a graph with static shapes the one that runs: implementations of convolutions are chosen,
/// elementwise nodes and reductions fused, in-place computation marked. Where shapes are unknown the
/// convolutions stay abstract and the rest shows what would run.
CROTON_API void specialize(FunctionGraph& graph, const Query& query, const SpecializeOptions& options = {},
                           OptimizerReport* report = nullptr, OptimizerObserver* observer = nullptr);

}  // namespace croton
