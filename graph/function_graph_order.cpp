#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/op.h"

namespace croton {

namespace {

/// What must run before a node besides what computes its inputs: all other readers of the memory it destroys.
class Earlier {
 public:
  explicit Earlier(std::span<const Ref<Node>> nodes) {
    std::vector<std::pair<Node*, Variable>> destroyed;
    for (const Ref<Node>& node : nodes) {
      if (!node->is_apply()) continue;
      for (const auto& [output, input] : node->op().view_map(*node)) {
        viewed_.emplace(node->output(static_cast<std::size_t>(output)),
                        node->input(static_cast<std::size_t>(input)));
      }
      if (!node->attributes().contains("inplace")) continue;
      for (const auto& [output, input] : node->op().destroy_map(*node)) {
        destroyed.emplace_back(node.get(), node->input(static_cast<std::size_t>(input)));
      }
    }
    if (destroyed.empty()) return;
    std::unordered_map<Variable, Node*> destroyers;
    for (const auto& [node, input] : destroyed) {
      const Variable root = root_of(input);
      Node*& destroyer = destroyers[root];
      if (destroyer != nullptr && destroyer != node) {
        throw InconsistencyError(fmt::format("{} is destroyed by two nodes, {} and {}", describe(root),
                                             node->op().label(*node), destroyer->op().label(*destroyer)));
      }
      destroyer = node;
    }
    for (const Ref<Node>& reader : nodes) {
      if (!reader->is_apply()) continue;
      for (const Variable& input : reader->inputs()) {
        const auto entry = destroyers.find(root_of(input));
        if (entry != destroyers.end() && entry->second != reader.get())
          nodes_[entry->second].push_back(reader.get());
      }
    }
  }

  bool empty() const { return nodes_.empty(); }
  std::span<Node* const> than(const Node* node) const {
    const auto entry = nodes_.find(node);
    return entry == nodes_.end() ? std::span<Node* const>() : entry->second;
  }

 private:
  /// Memory is followed from views to what they view.
  Variable root_of(Variable v) const {
    for (auto entry = viewed_.find(v); entry != viewed_.end(); entry = viewed_.find(v)) v = entry->second;
    return v;
  }

  std::unordered_map<Variable, Variable> viewed_;
  std::unordered_map<const Node*, std::vector<Node*>> nodes_;
};

}  // namespace

std::vector<Node*> FunctionGraph::topological_order() const {
  const Earlier earlier(nodes_);
  std::vector<Node*> order;
  order.reserve(apply_count_);
  enum class State : std::uint8_t { unseen, entered, listed };
  std::vector<State> states(nodes_.size(), State::unseen);
  std::vector<Node*> stack;
  for (std::size_t i = outputs_.size(); i-- > 0;) {
    if (outputs_[i].node()->is_leaf()) continue;
    stack.push_back(outputs_[i].node());
    while (!stack.empty()) {
      Node* node = stack.back();
      State& state = states[node->position_];
      if (state != State::unseen) {
        stack.pop_back();
        if (state == State::entered) order.push_back(node);
        state = State::listed;
        continue;
      }
      state = State::entered;
      const auto visit = [&](Node* before) {
        if (states[before->position_] == State::unseen) stack.push_back(before);
      };
      for (const Variable& input : node->inputs()) {
        if (input.node()->is_apply()) visit(input.node());
      }
      for (Node* before : earlier.than(node)) visit(before);
    }
  }
  if (earlier.empty()) return order;
  // With more edges a cycle is possible: some node then stands before one it needs.
  std::vector<std::size_t> at(nodes_.size(), 0);  // 0: not in the order
  for (std::size_t i = 0; i < order.size(); ++i) at[order[i]->position_] = i + 1;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto must_precede = [&](const Node* before) {
      if (at[before->position_] <= i) return;
      throw InconsistencyError(
          fmt::format("{} must run both before and after {}: a value would be used after it was destroyed",
                      before->op().label(*before), order[i]->op().label(*order[i])));
    };
    for (const Variable& input : order[i]->inputs()) {
      if (input.node()->is_apply()) must_precede(input.node());
    }
    for (const Node* before : earlier.than(order[i])) must_precede(before);
  }
  return order;
}

void FunctionGraph::check() const {
  const auto fault = [](const std::string& what) { throw InternalError("function graph: " + what); };
  std::size_t applies = 0;
  for (std::size_t position = 0; position < nodes_.size(); ++position) {
    const Node& node = *nodes_[position];
    if (node.graph_ != this || node.position_ != position) fault("a node does not know its place");
    applies += node.is_apply();
    for (std::size_t slot = 0; slot < node.input_count(); ++slot) {
      const Variable& input = node.input(slot);
      if (!contains(input)) fault(describe(node.output()) + " uses " + describe(input) + " from outside");
      const auto uses = input.node()->uses(input.output_index());
      const std::uint32_t at = node.use_positions_[slot];
      if (at >= uses.size() || !(uses[at] == Use{nodes_[position].get(), static_cast<std::uint32_t>(slot)})) {
        fault(describe(input) + " does not know its use in " + describe(node.output()));
      }
    }
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      for (const Use& use : node.uses(i)) {
        if (use.node->graph_ != this || !(use.node->input(use.slot) == node.output(i))) {
          fault(describe(node.output(i)) + " lists a use that is none");
        }
      }
    }
  }
  if (applies != apply_count_) fault("the number of apply nodes is wrong");
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (!contains(outputs_[i])) fault("an output is from outside");
    const auto entry = output_uses_.find(outputs_[i]);
    if (entry == output_uses_.end() || std::ranges::find(entry->second, i) == entry->second.end()) {
      fault("an output does not know its use");
    }
  }
  for (Node* node : topological_order()) {
    if (!node->attributes().contains("inplace") && find_equal(*node) != nullptr) {
      fault("two equal nodes: " + node->op().label(*node));
    }
  }
}

}  // namespace croton
