#include "croton/graph/function_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "croton/graph/error.h"
#include "croton/graph/op.h"

namespace croton {

namespace {

/// `client`: the node that needs it; null: it is an output itself.
[[noreturn]] void throw_missing_input(const Variable& v, const Node* client) {
  std::string message = fmt::format("{} is needed", describe(v));
  if (client != nullptr) {
    message += fmt::format(" to compute {}", client->op().name());
    if (client->where().known()) message += fmt::format(" (made at {})", to_string(client->where()));
  } else {
    message += " as an output";
  }
  message +=
      ", but it is not among the function's inputs and has no value: add it to the inputs or give it a "
      "value with givens";
  throw MissingInputError(message);
}

}  // namespace

/// What is known while nodes from outside are imported.
struct FunctionGraph::Import {
  std::string_view rule;
  SourceLocation where;
  std::shared_ptr<const RewriteStep> history;
  std::unordered_map<Node*, Ref<Node>> mapped;  // nodes from outside and what stands for them here
};

FunctionGraph::FunctionGraph(std::span<const Variable> inputs, std::span<const Variable> outputs,
                             const std::unordered_map<Variable, Variable>& replacements) {
  std::vector<Variable> wanted(outputs.begin(), outputs.end());
  if (!replacements.empty()) wanted = clone(wanted, replacements);
  // Function inputs become inputs of the graph wherever they stood.
  std::unordered_map<Variable, Variable> cut;
  for (const Variable& input : inputs) {
    Variable fresh(Node::make_input(input.type(), input.name(), input.node()->where()));
    cut.emplace(input, fresh);
    inputs_.push_back(fresh);
    adopt(Ref<Node>(fresh.node()));
  }
  wanted = clone(wanted, cut);  // nodes that the graph may change
  const std::vector<Node*> order = croton::topological_order(wanted);
  std::unordered_map<SharedCell*, Variable> states;
  Import context;
  context.mapped.reserve(order.size());
  nodes_.reserve(order.size());
  table_.reserve(order.size());
  const auto map_leaf = [&](const Variable& v, const Node* client) {
    Node& node = *v.node();
    if (node.graph_ == this || node.is_apply() || context.mapped.contains(&node)) return;
    if (node.kind() == Node::Kind::shared) {
      auto [entry, first] = states.try_emplace(node.cell().get());
      if (first) {
        entry->second = Variable(Node::make_shared(node.cell(), node.type(), node.where()));
        entry->second.set_name(node.name());
        shared_.push_back(entry->second);
        adopt(Ref<Node>(entry->second.node()));
      }
      context.mapped.emplace(&node, Ref<Node>(entry->second.node()));
    } else if (node.kind() == Node::Kind::input) {
      throw_missing_input(v, client);
    }
  };
  for (Node* node : order) {
    for (const Variable& input : node->inputs()) map_leaf(input, node);
  }
  for (const Variable& output : wanted) map_leaf(output, nullptr);
  for (const Variable& output : wanted) add_output(import(output, context));
  changes_ = 0;
}

FunctionGraph::~FunctionGraph() {
  for (const Ref<Node>& node : nodes_) {
    node->graph_ = nullptr;
    for (Node::Output& output : node->outputs_) output.uses.clear();
  }
}

std::unique_ptr<FunctionGraph> FunctionGraph::with_types(
    std::span<const TensorType> input_types, std::span<const TensorType> shared_types,
    const TypeRefiner& refiner, std::unordered_map<Variable, Variable>* copied) const {
  std::unique_ptr<FunctionGraph> copy(new FunctionGraph);
  std::unordered_map<Variable, Variable> copies;
  const auto add_leaf = [&](const Variable& old, Ref<Node> node, std::vector<Variable>& list) {
    Variable fresh(node);
    fresh.set_name(old.name());
    copies.emplace(old, fresh);
    list.push_back(fresh);
    copy->adopt(std::move(node));
  };
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    add_leaf(inputs_[i], Node::make_input(input_types[i], "", inputs_[i].node()->where()), copy->inputs_);
  }
  for (std::size_t i = 0; i < shared_.size(); ++i) {
    add_leaf(shared_[i],
             Node::make_shared(shared_[i].node()->cell(), shared_types[i], shared_[i].node()->where()),
             copy->shared_);
  }
  Import context;
  const auto copy_of = [&](const Variable& v) {
    const auto entry = copies.find(v);
    return entry == copies.end() ? copy->import(v, context) : entry->second;  // a constant, or a copy
  };
  for (Node* node : topological_order()) {
    std::vector<Variable> inputs;
    inputs.reserve(node->input_count());
    for (const Variable& input : node->inputs()) inputs.push_back(copy_of(input));
    Ref<Node> fresh = make_node(node->op(), std::move(inputs), node->attributes(), node->where());
    std::vector<TensorType> types;
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      types.push_back(refine(fresh->outputs_[i].type, node->type(i)));
      fresh->outputs_[i].name = node->name(i);
    }
    if (refiner) refiner(*node, fresh->inputs_, types);
    for (std::size_t i = 0; i < types.size(); ++i) fresh->outputs_[i].type = types[i];
    fresh->rewrites_ = node->rewrites_;
    Node* equal = copy->find_equal(*fresh);
    if (equal == nullptr) {
      copy->adopt(fresh);
    } else {
      keep_names(*fresh, *equal);
    }
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      copies.emplace(node->output(i), (equal != nullptr ? equal : fresh.get())->output(i));
    }
  }
  for (const Variable& output : outputs_) copy->add_output(copy_of(output));
  copy->changes_ = 0;
  if (copied != nullptr) *copied = std::move(copies);
  return copy;
}

std::size_t FunctionGraph::client_count(const Variable& v) const {
  const auto entry = output_uses_.find(v);
  return v.node()->uses(v.output_index()).size() + (entry == output_uses_.end() ? 0 : entry->second.size());
}

void FunctionGraph::adopt(Ref<Node> node) {
  node->graph_ = this;
  node->position_ = nodes_.size();
  if (node->is_apply()) {
    ++apply_count_;
    node->use_positions_.resize(node->input_count());
    for (std::size_t slot = 0; slot < node->input_count(); ++slot) link_input(*node, slot);
  }
  remember(*node);
  nodes_.push_back(node);
  for (GraphListener* listener : listeners_) listener->on_import(*node);
}

void FunctionGraph::link_input(Node& node, std::size_t slot) {
  const Variable& input = node.inputs_[slot];
  std::vector<Use>& uses = input.node()->outputs_[input.output_index()].uses;
  node.use_positions_[slot] = static_cast<std::uint32_t>(uses.size());
  uses.push_back({&node, static_cast<std::uint32_t>(slot)});
}

void FunctionGraph::unlink_input(Node& node, std::size_t slot) {
  const Variable& input = node.inputs_[slot];
  std::vector<Use>& uses = input.node()->outputs_[input.output_index()].uses;
  const std::uint32_t position = node.use_positions_[slot];
  uses[position] = uses.back();
  uses[position].node->use_positions_[uses[position].slot] = position;
  uses.pop_back();
}

Variable FunctionGraph::import(const Variable& variable, Import& context) {
  const auto here = [&](const Variable& v) -> Variable {
    if (v.node()->graph_ == this) return v;
    const auto entry = context.mapped.find(v.node());
    return entry == context.mapped.end() ? Variable() : entry->second->output(v.output_index());
  };
  std::vector<Ref<Node>> stack;
  std::unordered_set<Node*> entered;
  if (!here(variable)) stack.emplace_back(variable.node());
  while (!stack.empty()) {
    const Ref<Node> node = stack.back();
    if (node->graph_ == this || context.mapped.contains(node.get())) {
      stack.pop_back();
      continue;
    }
    if (node->graph_ != nullptr && node->kind() != Node::Kind::constant)
      throw InternalError("a rewrite used " + describe(node->output()) + " of another graph");
    if (node->kind() == Node::Kind::constant) {
      // The constant may belong to the user or to a rule: the graph takes a node of its own.
      Node* equal = find_equal(*node);
      Ref<Node> own = equal != nullptr ? Ref<Node>(equal) : Node::make_constant(node->value(), node->where());
      if (equal == nullptr) {
        own->outputs_[0].name = node->name();
        adopt(own);
      }
      context.mapped.emplace(node.get(), own);
      stack.pop_back();
      continue;
    }
    if (node->is_leaf()) {
      throw InternalError("a rewrite brought in " + describe(node->output()) +
                          ", which the graph does not have");
    }
    if (entered.insert(node.get()).second) {
      for (const Variable& input : node->inputs()) {
        if (!here(input)) stack.emplace_back(input.node());
      }
      continue;
    }
    stack.pop_back();
    for (Variable& input : node->inputs_) input = here(input);
    if (!context.rule.empty()) {
      node->rewrites_ = context.history;
      if (!node->where_.known()) node->where_ = context.where;
    }
    Node* equal = find_equal(*node);
    context.mapped.emplace(node.get(), equal != nullptr ? Ref<Node>(equal) : node);
    if (equal == nullptr) {
      adopt(node);
    } else {
      keep_names(*node, *equal);
    }
  }
  return here(variable);
}

void FunctionGraph::change_input(Node& node, std::size_t slot, const Variable& replacement) {
  forget(node);
  unlink_input(node, slot);
  node.inputs_[slot] = replacement;
  link_input(node, slot);
  rehash(node);
  for (GraphListener* listener : listeners_) listener->on_change_input(node, slot);
}

void FunctionGraph::add_output(Variable output) {
  output_uses_[output].push_back(outputs_.size());
  outputs_.push_back(std::move(output));
}

void FunctionGraph::set_output(std::size_t position, const Variable& replacement) {
  const auto entry = output_uses_.find(outputs_[position]);
  std::erase(entry->second, position);
  if (entry->second.empty()) output_uses_.erase(entry);
  outputs_[position] = replacement;
  output_uses_[replacement].push_back(position);
}

void FunctionGraph::exchange(const Variable& old, const Variable& replacement, std::vector<Use> uses) {
  for (const Use& use : uses) {
    if (use.node->graph_ == this && use.node->inputs_[use.slot] == old)
      change_input(*use.node, use.slot, replacement);
  }
  if (const auto entry = output_uses_.find(old); entry != output_uses_.end()) {
    for (std::size_t position : std::vector<std::size_t>(entry->second)) set_output(position, replacement);
  }
}

void FunctionGraph::prune(Node* start) {
  std::vector<Ref<Node>> candidates{Ref<Node>(start)};
  while (!candidates.empty()) {
    const Ref<Node> node = std::move(candidates.back());
    candidates.pop_back();
    if (node->graph_ != this || node->kind() == Node::Kind::input || node->kind() == Node::Kind::shared)
      continue;
    bool needed = false;
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      needed = needed || !node->uses(i).empty() ||
               (!output_uses_.empty() && output_uses_.contains(node->output(i)));
    }
    if (needed) continue;
    for (GraphListener* listener : listeners_) listener->on_prune(*node);
    forget(*node);
    for (std::size_t slot = 0; slot < node->input_count(); ++slot) {
      unlink_input(*node, slot);
      candidates.emplace_back(node->input(slot).node());
    }
    if (node->is_apply()) --apply_count_;
    node->graph_ = nullptr;
    const std::size_t position = node->position_;
    if (position + 1 != nodes_.size()) {
      std::swap(nodes_[position], nodes_.back());
      nodes_[position]->position_ = position;
    }
    nodes_.pop_back();
  }
}

void FunctionGraph::replace(const Variable& old, const Variable& replacement, std::string_view rule) {
  const std::pair<Variable, Variable> pair(old, replacement);
  replace_all({&pair, 1}, rule);
}

void FunctionGraph::replace_all(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) {
  struct Planned {
    Variable old, replacement;
    std::vector<Use> uses;
  };
  std::vector<Planned> planned;
  for (const auto& [old, replacement] : pairs) {
    if (!contains(old))
      throw InternalError(fmt::format("{} replaces {}, which is not in the graph", rule, describe(old)));
    if (!compatible(old.type(), replacement.type())) {
      throw InternalError(fmt::format("{} replaces {} by {}", rule, describe(old), describe(replacement)));
    }
    const auto uses = old.node()->uses(old.output_index());
    planned.push_back({old, replacement, {uses.begin(), uses.end()}});
  }
  for (GraphListener* listener : listeners_) listener->on_replace(pairs, rule);
  for (Planned& plan : planned) {
    Import context;
    context.rule = rule;
    context.where = plan.old.node()->where();
    context.history = std::make_shared<RewriteStep>(RewriteStep{rule, plan.old.node()->last_rewrite()});
    plan.replacement = import(plan.replacement, context);
    Node& node = *plan.replacement.node();
    if (node.is_apply()) {  // equal values: what the old type knew holds for the new one
      TensorType& type = node.outputs_[plan.replacement.output_index()].type;
      type = refine(type, plan.old.type());
    }
    std::string& name = node.outputs_[plan.replacement.output_index()].name;
    if (node.is_apply() && plan.old.node()->is_apply() && name.empty()) name = plan.old.name();
  }
  for (Planned& plan : planned) {
    if (plan.old == plan.replacement) continue;
    ++changes_;
    exchange(plan.old, plan.replacement, std::move(plan.uses));
  }
  merge_pending();
  for (const Planned& plan : planned) {
    prune(plan.old.node());
    prune(plan.replacement.node());  // merged into another meanwhile, or never used
  }
  for (GraphListener* listener : listeners_) listener->on_replaced();
}

void FunctionGraph::replace_outputs(std::span<const Variable> outputs,
                                    const std::unordered_map<const Node*, const Node*>& origins,
                                    std::string_view rule) {
  if (outputs.size() != outputs_.size())
    throw InternalError(fmt::format("{} gives {} outputs for {}", rule, outputs.size(), outputs_.size()));
  std::unordered_map<const Node*, std::shared_ptr<const RewriteStep>> histories;
  for (const auto& [fresh, origin] : origins) {
    histories.emplace(fresh, std::make_shared<RewriteStep>(RewriteStep{rule, origin->last_rewrite()}));
  }
  Import context;
  context.rule = rule;
  context.history = std::make_shared<RewriteStep>(RewriteStep{rule, nullptr});
  std::vector<Variable> imported;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!compatible(outputs[i].type(), outputs_[i].type()))
      throw InternalError(
          fmt::format("{} replaces {} by {}", rule, describe(outputs_[i]), describe(outputs[i])));
    imported.push_back(import(outputs[i], context));
  }
  for (const auto& [fresh, own] : context.mapped) {
    const auto history = histories.find(fresh);
    if (history != histories.end() && own.get() == fresh) own->rewrites_ = history->second;
  }
  std::vector<Ref<Node>> old;
  for (std::size_t i = 0; i < imported.size(); ++i) {
    old.emplace_back(outputs_[i].node());
    if (!(outputs_[i] == imported[i])) ++changes_;
    set_output(i, imported[i]);
  }
  for (const Ref<Node>& node : old) prune(node.get());
  for (GraphListener* listener : listeners_) listener->on_replaced();
}

void FunctionGraph::set_device(const Variable& leaf, Device device) {
  if (!contains(leaf) || !leaf.node()->is_leaf() || leaf.is_constant())
    throw InternalError(fmt::format("{} is no input or shared variable of the graph", describe(leaf)));
  leaf.node()->outputs_[leaf.output_index()].type.device = device;
  ++changes_;
}

void FunctionGraph::set_attributes(Node& node, Attributes attributes, std::string_view rule) {
  forget(node);
  node.attributes_ = std::move(attributes);
  node.rewrites_ = std::make_shared<RewriteStep>(RewriteStep{rule, node.rewrites_});
  remember(node);
  ++changes_;
  for (GraphListener* listener : listeners_) listener->on_set_attributes(node, rule);
}

void FunctionGraph::add_listener(GraphListener* listener) { listeners_.push_back(listener); }
void FunctionGraph::remove_listener(GraphListener* listener) { std::erase(listeners_, listener); }

}  // namespace croton
