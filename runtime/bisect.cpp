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
#include "croton/ops/evaluate.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/function.h"
#include "croton/runtime/node_text.h"

namespace croton {

namespace {

struct Case {
  TextGraph graph;
  std::vector<Tensor> inputs;
};

/// What tells one fault from another: what the report begins with, without what changes as a graph shrinks.
std::string identity_of(std::string_view report) {
  constexpr std::string_view rewrite = "the rewrite ";
  if (const std::size_t at = report.find(rewrite); at != std::string_view::npos && at < report.find('\n')) {
    const std::string_view name = report.substr(at + rewrite.size());
    return std::string(name.substr(0, name.find(' ')));
  }
  return std::string(report.substr(0, std::min(report.find('{'), report.find(':', report.find(':') + 1))));
}

std::unordered_map<Variable, Tensor> values_of(const Case& of) {
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < of.graph.inputs.size(); ++i) values.emplace(of.graph.inputs[i], of.inputs[i]);
  return values;
}

class Bisection {
 public:
  explicit Bisection(const Mode& mode)
      : including_(mode.query().included()), excluding_(mode.query().excluded()) {}

  /// The report of DebugMode, else how far the results are from the unoptimized ones; empty when all is well.
  std::string look(const Case& at) {
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

  bool shows(const Case& at, const std::string& identity) {
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
  static std::vector<Tensor> results_of(const Function& f, const Case& at) {
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

/// The same with inputs in the place of shared variables, and extents open.
Case without_shared(const Case& from) {
  Case result{{from.graph.name, {}, {}}, from.inputs};
  const std::vector<Variable> wanted = from.graph.results();
  std::unordered_map<Variable, Variable> copies;
  for (const Variable& input : from.graph.inputs) {
    copies.emplace(input, Variable(Node::make_input(input.type(), input.name(), input.node()->where())));
    result.graph.inputs.push_back(copies.at(input));
  }
  const auto visit = [&](const Variable& v) {
    if (!v.is_shared() || copies.contains(v)) return;
    const Tensor value = v.node()->cell()->value();
    if (!value.defined()) throw ValueError("bisect: the shared variable " + describe(v) + " has no value");
    copies.emplace(v, Variable(Node::make_input(v.type(), v.name(), v.node()->where())));
    result.graph.inputs.push_back(copies.at(v));
    result.inputs.push_back(value.copy());
  };
  for (const Variable& v : wanted) visit(v);
  for (const Node* node : topological_order(wanted)) {
    for (const Variable& input : node->inputs()) visit(input);
  }
  result.graph.outputs = clone(wanted, copies);
  return result;
}

/// Only the inputs that the outputs need.
Case trimmed(Case from) {
  std::set<const Node*> needed;
  for (const Variable& v : from.graph.outputs) needed.insert(v.node());
  for (const Node* node : topological_order(from.graph.outputs)) {
    for (const Variable& input : node->inputs()) needed.insert(input.node());
  }
  Case result{{from.graph.name, {}, from.graph.outputs}, {}};
  for (std::size_t i = 0; i < from.graph.inputs.size(); ++i) {
    if (!needed.contains(from.graph.inputs[i].node())) continue;
    result.graph.inputs.push_back(from.graph.inputs[i]);
    result.inputs.push_back(from.inputs[i]);
  }
  return result;
}

/// Inputs in the place of computed variables.
Case cut(const Case& from, const std::vector<Variable>& variables) {
  const std::vector<Tensor> values = evaluate(variables, values_of(from));
  Case result = from;
  std::unordered_map<Variable, Variable> inputs;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Variable input(
        Node::make_input(variables[i].type(), variables[i].name(), variables[i].node()->where()));
    inputs.emplace(variables[i], input);
    result.graph.inputs.push_back(input);
    result.inputs.push_back(values[i]);
  }
  result.graph.outputs = clone(from.graph.outputs, inputs);
  return trimmed(std::move(result));
}

/// Every axis of that extent is cut to its first elements.
Case sliced(const Case& from, std::int64_t extent, std::int64_t kept) {
  Case result{{from.graph.name, {}, {}}, {}};
  std::unordered_map<Variable, Variable> copies;
  for (std::size_t i = 0; i < from.graph.inputs.size(); ++i) {
    const Variable& input = from.graph.inputs[i];
    TensorType type = input.type();
    Tensor value = from.inputs[i];
    for (int axis = 0; axis < value.rank(); ++axis) {
      const auto at = static_cast<std::size_t>(axis);
      if (value.shape()[at] != extent) continue;
      value = value.slice(axis, 0, kept);
      if (type.shape[at] != unknown) type.shape[at] = kept;
    }
    copies.emplace(input, Variable(Node::make_input(type, input.name(), input.node()->where())));
    result.graph.inputs.push_back(copies.at(input));
    result.inputs.push_back(value.contiguous());
  }
  result.graph.outputs = clone(from.graph.outputs, copies, CloneTypes::infer);
  return result;
}

class Shrinker {
 public:
  Shrinker(Bisection& bisection, Case from, std::string identity)
      : bisection_(bisection), case_(std::move(from)), identity_(std::move(identity)) {}

  Case run() {
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
  bool accept(Case candidate) {
    if (!bisection_.shows(candidate, identity_)) return false;
    case_ = std::move(candidate);
    return true;
  }

  void drop_outputs() {
    const std::vector<Variable> outputs = case_.graph.outputs;
    if (outputs.size() < 2) return;
    for (const Variable& output : outputs) {
      Case candidate = case_;
      candidate.graph.outputs = {output};
      if (accept(trimmed(std::move(candidate)))) return;
    }
  }

  /// The first node, in the order of computation, with which the fault is there.
  void drop_later_nodes() {
    const std::vector<Node*> order = topological_order(case_.graph.outputs);
    std::size_t below = 0, above = order.size();
    while (above - below > 1) {
      const std::size_t middle = (below + above) / 2;
      Case candidate = case_;
      candidate.graph.outputs = last_values(order, middle);
      if (bisection_.shows(trimmed(std::move(candidate)), identity_)) {
        above = middle;
      } else {
        below = middle;
      }
    }
    Case candidate = case_;
    candidate.graph.outputs = {order[above - 1]->output()};
    if (accept(trimmed(std::move(candidate)))) return;
    candidate = case_;
    candidate.graph.outputs = last_values(order, above);
    if (accept(trimmed(std::move(candidate)))) drop_outputs();
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
      if (far.empty() || accept(cut(case_, far))) return;
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
        changed = accept(cut(case_, {value}));
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
            changed = accept(sliced(case_, extent, kept));
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
  Case case_;
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
  Case start{cut_at_inputs(graph), inputs};
  bisection.hurry(true);
  std::string report = bisection.look(start);
  if (report.empty()) {
    bisection.hurry(false);
    report = bisection.look(start);
  }
  if (report.empty()) return std::nullopt;
  const std::string identity = identity_of(report);
  const std::size_t nodes = topological_order(start.graph.results()).size();
  Case plain = without_shared(start);
  Case small = start;
  if (bisection.shows(plain, identity))
    small = Shrinker(bisection, trimmed(std::move(plain)), identity).run();
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
