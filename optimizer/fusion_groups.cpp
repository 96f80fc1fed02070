#include "croton/optimizer/fusion_groups.h"

#include <algorithm>

#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/expressions.h"

namespace croton {

namespace {

/// Reductions that CompositeReduce knows.
bool is_fusible_reduction(const Op& op) {
  const ReduceOp* reduce = as_reduce(op);
  return reduce != nullptr && op.name() != "all" && op.name() != "any";
}

bool is_costly(const Node& node) { return as_elementwise(node.op())->row().has(ElementwiseTrait::costly); }

}  // namespace

bool is_inlined_constant(const Variable& v) { return v.is_constant() && is_all_ones(v.type()); }

// From the outputs towards the inputs: when a node is visited, the groups of all its clients are known. A
// node joins a group only when it has no client elsewhere, so that no group can need its own result.
FusionPlan::FusionPlan(const FunctionGraph& graph) : graph_(graph) {
  const std::vector<Node*> order = graph.topological_order();
  places_.reserve(order.size());
  for (std::size_t i = order.size(); i-- > 0;) visit(*order[i]);
  std::reverse(groups_.begin(), groups_.end());
  for (auto& [node, place] : places_) place.group = groups_.size() - 1 - place.group;
}

bool FusionPlan::inside(const Node& node, std::size_t group) const {
  const auto entry = places_.find(&node);
  return entry != places_.end() && (entry->second.copied || entry->second.group == group);
}

void FusionPlan::visit(Node& node) {
  if (is_fusible_reduction(node.op())) {
    if (!visit_reduction(node)) {
      const std::size_t group = start(node);
      groups_[group].reduction = &node;
      groups_[group].members.clear();
      places_[&node].side = Side::reduction;
    }
    return;
  }
  if (as_elementwise(node.op()) == nullptr) return;
  if (join(node) || copy_into_clients(node)) return;
  start(node);
}

std::size_t FusionPlan::start(Node& node) {
  FusionGroup group;
  group.root = Ref<Node>(&node);
  group.members = {&node};
  for (const Variable& input : node.inputs()) {
    if (!is_inlined_constant(input) && std::ranges::find(group.inputs, input) == group.inputs.end()) {
      group.inputs.push_back(input);
    }
  }
  groups_.push_back(std::move(group));
  places_[&node] = {groups_.size() - 1, Side::before, false};
  return groups_.size() - 1;
}

/// The groups that read a node, each once for each side; false when something else reads it too.
bool FusionPlan::clients(const Node& node, std::vector<Client>& found) const {
  if (node.output_count() != 1 || graph_.is_output(node.output()) || node.uses().empty()) return false;
  for (const Use& use : node.uses()) {
    const auto entry = places_.find(use.node);
    if (entry == places_.end() || entry->second.copied) return false;
    const Side side = entry->second.side == Side::after ? Side::after : Side::before;
    const bool known = std::ranges::any_of(found, [&](const Client& client) {
      return client.group == entry->second.group && client.side == side;
    });
    if (known) continue;
    if (found.size() == 8) return false;
    found.push_back({entry->second.group, side});
  }
  return true;
}

const TensorType& FusionPlan::loop_type(const FusionGroup& group, Side side) const {
  if (group.reduction == nullptr) return group.root->type();
  return side == Side::before ? group.reduction->input(0).type() : group.reduction->type();
}

/// Takes a node into a group whose input it was, where the bounds allow.
bool FusionPlan::add(FusionGroup& group, Node& node) {
  if (group.members.size() >= most_nodes) return false;
  std::vector<Variable> inputs = group.inputs;
  std::erase(inputs, node.output());
  for (const Variable& input : node.inputs()) {
    if (!is_inlined_constant(input) && std::ranges::find(inputs, input) == inputs.end())
      inputs.push_back(input);
  }
  if (inputs.size() > most_inputs && inputs.size() > group.inputs.size()) return false;
  group.inputs = std::move(inputs);
  group.members.push_back(&node);
  return true;
}

bool FusionPlan::join(Node& node) {
  std::vector<Client> readers;
  if (!clients(node, readers) || readers.size() != 1) return false;
  FusionGroup& group = groups_[readers[0].group];
  // A smaller value would be computed again and again along the axes where it broadcasts.
  if (!same_broadcast(node.type(), loop_type(group, readers[0].side)) && is_costly(node)) return false;
  if (!add(group, node)) return false;
  places_[&node] = {readers[0].group, readers[0].side, false};
  return true;
}

/// A cheap function of one value is computed by each of its readers instead of being stored: they read its
/// operand instead of it.
bool FusionPlan::copy_into_clients(Node& node) {
  if (is_costly(node)) return false;
  const Variable* operand = nullptr;
  for (const Variable& input : node.inputs()) {
    if (is_inlined_constant(input) || (operand != nullptr && *operand == input)) continue;
    if (operand != nullptr) return false;
    operand = &input;
  }
  // A cheap function of another one is where a chain of copies would begin.
  if (operand == nullptr || (is_elementwise(*operand) && !is_costly(*operand->node()))) return false;
  std::vector<Client> readers;
  if (!clients(node, readers)) return false;
  const bool no_wider = size_of(operand->dtype()) <= size_of(node.type().dtype);
  for (const Client& reader : readers) {
    const FusionGroup& group = groups_[reader.group];
    if (group.members.size() >= most_nodes) return false;
    if (!no_wider && std::ranges::find(group.inputs, *operand) == group.inputs.end()) return false;
    // One node in front of and behind a reduction would have to be two.
    if (std::ranges::count(readers, reader.group, &Client::group) > 1) return false;
  }
  for (const Client& reader : readers) add(groups_[reader.group], node);
  places_[&node] = {0, Side::before, true};
  return true;
}

/// A reduction joins the elementwise nodes that work on its value.
bool FusionPlan::visit_reduction(Node& node) {
  std::vector<Client> readers;
  if (!clients(node, readers) || readers.size() != 1) return false;
  FusionGroup& group = groups_[readers[0].group];
  if (group.reduction != nullptr || !same_broadcast(node.type(), group.root->type())) return false;
  std::erase(group.inputs, node.output());
  if (std::ranges::find(group.inputs, node.input(0)) == group.inputs.end())
    group.inputs.push_back(node.input(0));
  group.reduction = &node;
  // What the group has so far lies behind the reduction.
  for (const Node* member : group.members) {
    const auto entry = places_.find(member);
    if (!entry->second.copied) entry->second.side = Side::after;
  }
  places_[&node] = {readers[0].group, Side::reduction, false};
  return true;
}

}  // namespace croton
