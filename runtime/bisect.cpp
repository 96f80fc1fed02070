#include "croton/runtime/bisect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <set>
#include <unordered_map>

#include "croton/graph/check_error.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/runtime/bisect_case.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/function.h"
#include "croton/runtime/node_text.h"

namespace croton {

namespace {

/// What tells one fault from another: what the report begins with, without what changes as a graph shrinks.
std::string identity_of(std::string_view report) {
  constexpr std::string_view rewrite = "the rewrite ";
  if (const std::size_t at = report.find(rewrite); at != std::string_view::npos && at < report.find('\n')) {
    const std::string_view name = report.substr(at + rewrite.size());
    return std::string(name.substr(0, name.find(' ')));
  }
  return std::string(report.substr(0, std::min(report.find('{'), report.find(':', report.find(':') + 1))));
}

class Bisection {
 public:
  explicit Bisection(const Mode& mode)
      : including_(mode.query().included()), excluding_(mode.query().excluded()) {}

  /// The report of DebugMode, else how far the results are from the unoptimized ones; empty when all is well.
  std::string look(const BisectCase& at) {
    ++tries_;
    const std::vector<In> inputs(at.graph.inputs.begin(), at.graph.inputs.end());
    const auto made = [&](std::string_view name) {
      Mode mode(name);
      for (const std::string& tag : including_) mode = mode.including(tag);
      for (const std::string& tag : excluding_) mode = mode.excluding(tag);
      FunctionOptions options{.mode = mode, .name = "bisect", .on_unused_input = OnUnusedInput::ignore};
      for (const auto& [target, value] : at.graph.updates) options.updates.emplace_back(target, value);
      return results_of(function(inputs, at.graph.outputs, options), at);
    };
    const ConfigScope scope(
        {{"DebugMode.report_dir", "none"},
         {"DebugMode.patience", is_quick_ ? "0" : config().get("DebugMode.patience")},
         {"DebugMode.check_gradients", is_quick_ ? "false" : config().get("DebugMode.check_gradients")}});
    // First: a graph that cannot be computed as it was written shows nothing.
    const std::vector<Tensor> expected = made("None");
    try {
      made("DebugMode");
    } catch (const DebugModeError& e) {
      return e.what();
    }
    const std::vector<Tensor> got = made("FAST_RUN");
    for (std::size_t i = 0; i < got.size(); ++i) {
      Tolerance tolerance = tolerance_of(got[i].dtype());
      tolerance.relative *= 100;
      tolerance.absolute *= 100;
      tolerance.magnitude = std::max(1.0, magnitude_of(expected[i]));
      tolerance.only_finite = true;
      if (const auto difference = compare_values(expected[i], got[i], tolerance)) {
        return fmt::format("every rewrite and step is right, but the results drift apart: output {}: {}", i,
                           difference->text());
      }
    }
    return {};
  }

  bool shows(const BisectCase& at, const std::string& identity) {
    try {
      return identity_of(look(at)) == identity;
    } catch (const Error&) {
      return false;  // this graph goes wrong in a way of its own
    }
  }

  /// Leaves out what most faults do not need: other schedules, gradients of ops.
  void hurry(bool quick) { is_quick_ = quick; }

  std::size_t tries() const { return tries_; }

  /// With what decides how functions are made.
  std::vector<std::pair<std::string, std::string>> flags() const {
    std::vector<std::pair<std::string, std::string>> flags{
        {"optimizer_including", fmt::format("{}", fmt::join(including_, ":"))},
        {"optimizer_excluding", fmt::format("{}", fmt::join(excluding_, ":"))}};
    for (const char* name :
         {"optimizer_requiring", "floatX", "deterministic", "precision", "threads", "tensor.cmp_sloppy",
          "DebugMode.patience", "DebugMode.check_gradients", "DebugMode.check_finite"})
      flags.emplace_back(name, config().get(name));
    std::erase_if(flags, [](const auto& flag) {
      const auto row = std::ranges::find(flag_infos(), flag.first, &FlagInfo::name);
      return flag.second == row->default_value;
    });
    return flags;
  }

 private:
  /// The outputs and new values of one call; the shared variables are then as before.
  static std::vector<Tensor> results_of(const Function& f, const BisectCase& at) {
    std::vector<Tensor> old;
    for (const auto& [target, value] : at.graph.updates) old.push_back(target.node()->cell()->value().copy());
    const auto put_back = [&] {
      for (std::size_t i = 0; i < old.size(); ++i) at.graph.updates[i].first.node()->cell()->value() = old[i];
    };
    try {
      const Outputs outputs = f.call_all(at.inputs);
      std::vector<Tensor> results(outputs.begin(), outputs.end());
      for (const auto& [target, value] : at.graph.updates)
        results.push_back(target.node()->cell()->value().copy());
      put_back();
      return results;
    } catch (const Error&) {
      put_back();
      throw;
    }
  }

  std::vector<std::string> including_, excluding_;
  bool is_quick_ = false;
  std::size_t tries_ = 0;
};

class Shrinker {
 public:
  Shrinker(Bisection& bisection, BisectCase from, std::string identity)
      : bisection_(bisection), case_(std::move(from)), identity_(std::move(identity)) {}

  BisectCase run() {
    // Smaller tensors first: every later try computes the whole graph with the slow reference evaluator.
    reduce_extents([](std::int64_t extent) { return std::vector{extent / 8, extent / 2}; });
    drop_outputs();
    drop_later_nodes();
    cut_far_operands();
    cut_single_operands();
    reduce_extents([](std::int64_t extent) { return std::vector{extent / 4, extent / 2, extent - 1}; });
    return case_;
  }

 private:
  bool accept(BisectCase candidate) {
    if (!bisection_.shows(candidate, identity_)) return false;
    case_ = std::move(candidate);
    return true;
  }

  void drop_outputs() {
    const std::vector<Variable> outputs = case_.graph.outputs;
    if (outputs.size() < 2) return;
    for (const Variable& output : outputs) {
      BisectCase candidate = case_;
      candidate.graph.outputs = {output};
      if (accept(trimmed_case(candidate))) return;
    }
  }

  /// The first node, in the order of computation, with which the fault is there.
  void drop_later_nodes() {
    const std::vector<Node*> order = topological_order(case_.graph.outputs);
    std::size_t below = 0, above = order.size();
    while (above - below > 1) {
      const std::size_t middle = (below + above) / 2;
      BisectCase candidate = case_;
      candidate.graph.outputs = last_values(order, middle);
      if (bisection_.shows(trimmed_case(candidate), identity_)) {
        above = middle;
      } else {
        below = middle;
      }
    }
    BisectCase candidate = case_;
    candidate.graph.outputs = {order[above - 1]->output()};
    if (accept(trimmed_case(candidate))) return;
    candidate = case_;
    candidate.graph.outputs = last_values(order, above);
    if (accept(trimmed_case(candidate))) drop_outputs();
  }

  /// What of the first `count` nodes nobody among them uses.
  static std::vector<Variable> last_values(const std::vector<Node*>& order, std::size_t count) {
    std::set<const Node*> used;
    for (std::size_t i = 0; i < count; ++i) {
      for (const Variable& input : order[i]->inputs()) used.insert(input.node());
    }
    std::vector<Variable> values;
    for (std::size_t i = 0; i < count; ++i) {
      if (!used.contains(order[i])) values.push_back(order[i]->output());
    }
    return values;
  }

  /// Everything further than so many nodes from the outputs becomes an input.
  void cut_far_operands() {
    for (int depth = 1; depth <= 8; ++depth) {
      std::unordered_map<const Node*, int> distance;
      std::deque<const Node*> waiting;
      for (const Variable& output : case_.graph.outputs) {
        if (distance.emplace(output.node(), 1).second) waiting.push_back(output.node());
      }
      std::vector<Variable> far;
      std::set<std::pair<const Node*, std::uint32_t>> listed;
      while (!waiting.empty()) {
        const Node* node = waiting.front();
        waiting.pop_front();
        for (const Variable& input : node->inputs()) {
          if (!input.node()->is_apply() || distance.contains(input.node())) continue;
          if (distance.at(node) < depth) {
            distance.emplace(input.node(), distance.at(node) + 1);
            waiting.push_back(input.node());
          } else if (listed.emplace(input.node(), input.output_index()).second) {
            far.push_back(input);
          }
        }
      }
      if (far.empty() || accept(cut_case(case_, far))) return;
    }
  }

  void cut_single_operands() {
    bool changed = true;
    while (changed) {
      changed = false;
      const std::vector<Node*> order = topological_order(case_.graph.outputs);
      if (order.size() > 64) return;
      for (std::size_t i = order.size(); i-- > 0 && !changed;) {
        const Variable value = order[i]->output();
        if (std::ranges::find(case_.graph.outputs, value) != case_.graph.outputs.end()) continue;
        changed = accept(cut_case(case_, {value}));
      }
    }
  }

  /// Cuts axes, the longest first, to the first of the proposed extents that still shows the fault.
  template <typename Propose>
  void reduce_extents(Propose&& propose) {
    std::set<std::int64_t> tried;
    bool changed = true;
    while (changed) {
      changed = false;
      std::set<std::int64_t, std::greater<>> extents;
      for (const Tensor& input : case_.inputs) extents.insert(input.shape().begin(), input.shape().end());
      for (const std::int64_t extent : extents) {
        if (extent < 2 || tried.contains(extent)) continue;
        for (const std::int64_t kept : propose(extent)) {
          if (kept < 1) continue;
          try {
            changed = accept(sliced_case(case_, extent, kept));
          } catch (const Error&) {
            // These extents do not fit together.
          }
          if (changed) break;
        }
        if (changed) break;
        tried.insert(extent);
      }
    }
  }

  Bisection& bisection_;
  BisectCase case_;
  std::string identity_;
};

}  // namespace

std::optional<BisectResult> bisect(const TextGraph& graph, const std::vector<Tensor>& inputs,
                                   const Mode& mode) {
  if (inputs.size() != graph.inputs.size()) {
    throw ValueError(
        fmt::format("bisect: the graph has {} inputs, got {} values", graph.inputs.size(), inputs.size()));
  }
  Bisection bisection(mode);
  BisectCase start{cut_at_inputs(graph), inputs};
  bisection.hurry(true);
  std::string report = bisection.look(start);
  if (report.empty()) {
    bisection.hurry(false);
    report = bisection.look(start);
  }
  if (report.empty()) return std::nullopt;
  const std::string identity = identity_of(report);
  const std::size_t nodes = topological_order(start.graph.results()).size();
  const BisectCase plain = case_without_shared(start);
  BisectCase small = start;
  if (bisection.shows(plain, identity)) small = Shrinker(bisection, trimmed_case(plain), identity).run();
  BisectResult result;
  result.report = bisection.look(small);
  result.graph = small.graph;
  result.graph.name = "bisect";
  result.inputs = small.inputs;
  result.flags = bisection.flags();
  result.nodes_before = nodes;
  result.nodes_after = topological_order(small.graph.results()).size();
  result.tries = bisection.tries();
  return result;
}

}  // namespace croton
