#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/optimizer/query.h"
#include "croton/optimizer/report.h"

namespace croton {

/// What specialize() must know of a function beside its graph.
struct SpecializeOptions {
  /// (position of an output, position in graph.shared()): that output is the new value of that shared
  /// variable and may be computed over the old one, once nobody needs the old value any more.
  std::vector<std::pair<std::size_t, std::size_t>> updates;
  /// How many outputs are results; those behind them are new values of shared variables, read here or not.
  std::size_t results = static_cast<std::size_t>(-1);
  /// Where the function runs; nodes that a user put elsewhere by transfers stay there.
  Device device;
  /// Whether a node can be computed on a device; asked with the nodes as they are on the host. Empty: all
  /// can.
  std::function<bool(const Node&)> supports;
  /// Whether a product of matrices on a device (with a bias, with an activation) is a library's that does
  /// these at once. Empty: none is.
  std::function<bool(const Node&)> has_epilogues;
  /// By position: inputs whose arguments lie on a device already. May be shorter than the inputs are many.
  std::vector<Device> input_devices;
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
