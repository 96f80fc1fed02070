#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/op.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

/// The nodes in an order of computation; those that make new values of shared variables, and what needs
/// these, come last: the old values have been read by then.
std::vector<Node*> updates_last(const FunctionGraph& graph, const SpecializeOptions& options) {
  std::unordered_set<const Node*> late;
  for (const auto& [output, shared] : options.updates) late.insert(graph.outputs()[output].node());
  std::vector<Node*> first, last;
  for (Node* node : graph.topological_order()) {
    const bool needs_late = std::ranges::any_of(
        node->inputs(), [&](const Variable& input) { return late.contains(input.node()); });
    if (needs_late) late.insert(node);
    (late.contains(node) ? last : first).push_back(node);
  }
  first.insert(first.end(), last.begin(), last.end());
  return first;
}

/// The schedule that the pass fixes, and who reads which memory when.
class Lifetimes {
 public:
  Lifetimes(const FunctionGraph& graph, const std::vector<Node*>& order) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Node& node = *order[i];
      for (const Variable& input : node.inputs()) last_read_[owner(input)] = i;
      for (const auto& [output, input] : node.op().view_map(node)) {
        owners_.emplace(node.output(static_cast<std::size_t>(output)),
                        owner(node.input(static_cast<std::size_t>(input))));
      }
    }
    for (const Variable& output : graph.outputs()) ++results_[owner(output)];
  }

  /// The variable in whose memory v lies.
  Variable owner(const Variable& v) const {
    const auto entry = owners_.find(v);
    return entry == owners_.end() ? v : entry->second;
  }
  std::size_t last_read(const Variable& owner) const {
    const auto entry = last_read_.find(owner);
    return entry == last_read_.end() ? 0 : entry->second;
  }
  /// How many of the graph's outputs lie in that memory.
  int results(const Variable& owner) const {
    const auto entry = results_.find(owner);
    return entry == results_.end() ? 0 : entry->second;
  }

 private:
  std::unordered_map<Variable, Variable> owners_;
  std::unordered_map<Variable, std::size_t> last_read_;
  std::unordered_map<Variable, int> results_;
};

class InPlace {
 public:
  InPlace(FunctionGraph& graph, const SpecializeOptions& options)
      : graph_(graph), order_(updates_last(graph, options)), lifetimes_(graph, order_) {
    for (const auto& [output, shared] : options.updates) {
      updates_.emplace(graph.outputs()[output], graph.shared()[shared]);
    }
  }

  void run() {
    for (std::size_t i = 0; i < order_.size(); ++i) mark(*order_[i], i);
  }

  /// What keeps a node of a graph that has its marks from computing in place.
  std::optional<std::string> why_not(const Node& node) {
    if (!node.op().destroy_map(node).empty()) return std::nullopt;
    std::size_t position = 0;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (order_[i] == &node) position = i;
      for (const auto& [output, input] : order_[i]->op().destroy_map(*order_[i])) {
        destroyed_.insert(lifetimes_.owner(order_[i]->input(static_cast<std::size_t>(input))));
      }
    }
    std::string text;
    for (const auto& [output, input] : node.op().inplace_candidates(node)) {
      const char* reason = obstacle(node, position, output, static_cast<std::size_t>(input));
      if (reason == nullptr)
        return "nothing is in the way: the pass did not run, or ran before the node was made";
      text += fmt::format("{}input {} ({}) {}", text.empty() ? "" : "; ", input,
                          describe(node.input(static_cast<std::size_t>(input))), reason);
    }
    if (text.empty())
      return "the op cannot compute over an input, or no input has the dtype and shape of an output";
    return text;
  }

 private:
  void mark(Node& node, std::size_t position) {
    if (!node.op().destroy_map(node).empty()) return;
    std::vector<std::pair<int, int>> candidates = node.op().inplace_candidates(node);
    // A shared variable's new value goes over the old one where it can.
    std::ranges::stable_partition(candidates, [&](const std::pair<int, int>& pair) {
      return is_update(node, pair.first, lifetimes_.owner(node.input(static_cast<std::size_t>(pair.second))));
    });
    std::vector<std::int64_t> chosen;
    std::vector<int> outputs;
    for (const auto& [output, input] : candidates) {
      if (std::ranges::find(outputs, output) != outputs.end()) continue;
      if (!may_destroy(node, position, output, static_cast<std::size_t>(input))) continue;
      outputs.push_back(output);
      chosen.push_back(output);
      chosen.push_back(input);
      destroyed_.insert(lifetimes_.owner(node.input(static_cast<std::size_t>(input))));
    }
    if (!chosen.empty())
      graph_.set_attributes(node, node.attributes().with("inplace", std::move(chosen)), "inplace");
  }

  bool is_update(const Node& node, int output, const Variable& owner) const {
    const auto entry = updates_.find(node.output(static_cast<std::size_t>(output)));
    return entry != updates_.end() && entry->second == owner;
  }

  bool may_destroy(const Node& node, std::size_t position, int output, std::size_t input) const {
    return obstacle(node, position, output, input) == nullptr;
  }

  /// What is in the way of writing an output over an input; null where nothing is.
  const char* obstacle(const Node& node, std::size_t position, int output, std::size_t input) const {
    const Variable& v = node.input(input);
    const Variable owner = lifetimes_.owner(v);
    if (destroyed_.contains(owner)) return "is written over by another node already";
    if (lifetimes_.results(owner) != 0) return "is a result, or a result is a view of it";
    if (lifetimes_.last_read(owner) != position) return "is read again later";
    if (!owner.node()->is_apply()) {
      // Inputs and constants belong to others; a shared variable only gives way to its own new value, and
      // that must not be handed out as well.
      if (!owner.is_shared()) return "belongs to the caller, or is a constant";
      if (!is_update(node, output, owner)) return "is a shared variable of which this is not the new value";
      if (lifetimes_.results(node.output(static_cast<std::size_t>(output))) != 1)
        return "is a shared variable whose new value is also a result";
    }
    // Another operand in the same memory is read at other places than are written, unless it is the same
    // variable read element by element.
    const bool by_element = as_elementwise(node.op()) != nullptr || &node.op() == &composite_op();
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (i == input || !(lifetimes_.owner(node.input(i)) == owner)) continue;
      if (!by_element || !(node.input(i) == v)) return "shares its memory with another operand";
    }
    return nullptr;
  }

  FunctionGraph& graph_;
  std::vector<Node*> order_;
  Lifetimes lifetimes_;
  std::unordered_map<Variable, Variable> updates_;  // an output that is the new value of a shared variable
  std::unordered_set<Variable> destroyed_;
};

}  // namespace

void mark_in_place(FunctionGraph& graph, const SpecializeOptions& options) { InPlace(graph, options).run(); }

std::optional<std::string> why_not_in_place(FunctionGraph& graph, const Node& node) {
  return InPlace(graph, {}).why_not(node);
}

}  // namespace croton
