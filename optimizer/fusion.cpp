#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>

#include "croton/graph/op.h"
#include "croton/graph/subgraph.h"
#include "croton/graph/tensor.h"
#include "croton/graph/text.h"
#include "croton/ops/composite.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/fusion_groups.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

/// One body: the nodes from its inputs to its output, in order.
struct Body {
  std::vector<Variable> inputs;  // as first met on the way from the output, from left to right
  std::vector<const Node*> nodes;
};

/// Makes bodies; equal ones are made once.
class BodyMaker {
 public:
  /// What computes `output` out of nodes inside the group. `stop`: a node that counts as an input, the first
  /// one.
  std::shared_ptr<const Subgraph> make(const FusionPlan& plan, std::size_t group, const Variable& output,
                                       const Node* stop, std::vector<Variable>& inputs) {
    Body body;
    if (stop != nullptr) body.inputs.push_back(stop->output());
    collect(plan, group, output, stop, body);
    inputs = body.inputs;
    std::string key = key_of(body, output);
    auto& made = bodies_[std::move(key)];
    if (!made) made = build(body, output);
    return made;
  }

 private:
  void collect(const FusionPlan& plan, std::size_t group, const Variable& output, const Node* stop,
               Body& body) {
    struct Step {
      const Node* node;
      std::size_t next;
    };
    std::vector<Step> stack;
    const auto enter = [&](const Variable& v) {
      if (is_inlined_constant(v)) return;
      const Node* node = v.node();
      const bool within = node != stop && node->is_apply() && plan.inside(*node, group);
      if (!within) {
        if (std::ranges::find(body.inputs, v) == body.inputs.end()) body.inputs.push_back(v);
      } else if (std::ranges::find(body.nodes, node) == body.nodes.end()) {
        stack.push_back({node, 0});
      }
    };
    enter(output);
    while (!stack.empty()) {
      Step& top = stack.back();
      if (top.next < top.node->input_count()) {
        enter(top.node->input(top.next++));
        continue;
      }
      const Node* node = top.node;
      stack.pop_back();
      if (std::ranges::find(body.nodes, node) == body.nodes.end()) body.nodes.push_back(node);
    }
  }

  static std::string key_of(const Body& body, const Variable& output) {
    std::string key;
    const auto put = [&](const auto& value) {
      key.append(reinterpret_cast<const char*>(&value), sizeof value);
    };
    const auto refer = [&](const Variable& v) {
      if (const auto at = std::ranges::find(body.inputs, v); at != body.inputs.end()) {
        put('i');
        put(at - body.inputs.begin());
      } else if (v.is_constant()) {
        put('c');
        put(v.dtype());
        key.append(static_cast<const char*>(v.constant_value().raw_data()), size_of(v.dtype()));
      } else {
        put('n');
        put(std::ranges::find(body.nodes, v.node()) - body.nodes.begin());
      }
    };
    for (const Variable& input : body.inputs) put(input.dtype());
    for (const Node* node : body.nodes) {
      put(&node->op());
      put(node->type().dtype);
      for (const auto& [name, value] : node->attributes()) key += name + "=" + to_string(value) + ";";
      put(node->input_count());
      for (const Variable& input : node->inputs()) refer(input);
    }
    refer(output);
    return key;
  }

  static std::shared_ptr<const Subgraph> build(const Body& body, const Variable& output) {
    std::unordered_map<Variable, Variable> scalars;
    std::vector<Variable> inputs;
    for (const Variable& input : body.inputs) {
      inputs.emplace_back(Node::make_input({input.dtype(), {}}, "", {}));
      scalars.emplace(input, inputs.back());
    }
    const auto scalar = [&](const Variable& v) -> const Variable& {
      const auto [entry, first] = scalars.try_emplace(v);
      if (first) entry->second = constant(v.constant_value().reshape({}));
      return entry->second;
    };
    for (const Node* node : body.nodes) {
      std::vector<Variable> operands;
      for (const Variable& input : node->inputs()) operands.push_back(scalar(input));
      scalars.emplace(node->output(),
                      Variable(Node::make_apply(node->op(), std::move(operands), node->attributes(),
                                                {{node->type().dtype, {}}}, {})));
    }
    return std::make_shared<const Subgraph>(inputs, std::vector<Variable>{scalar(output)});
  }

  std::unordered_map<std::string, std::shared_ptr<const Subgraph>> bodies_;
};

/// The node that computes a group, or nothing where one node is all there is.
Ref<Node> fused(const FusionPlan& plan, std::size_t number, const FusionGroup& group, BodyMaker& bodies) {
  const SourceLocation where = group.root->where();
  if (group.reduction == nullptr) {
    if (group.members.size() < 2) return {};
    std::vector<Variable> inputs;
    auto body = bodies.make(plan, number, group.root->output(), nullptr, inputs);
    return inputs.empty() ? Ref<Node>() : make_composite(std::move(body), std::move(inputs), where);
  }
  if (group.members.empty()) return {};
  const Node& reduction = *group.reduction;
  CompositeReduce parts;
  parts.op = reduction.op().name();
  parts.axes = reduced_axes(reduction);
  std::vector<Variable> inputs, further;
  parts.body = bodies.make(plan, number, reduction.input(0), nullptr, inputs);
  if (inputs.empty()) return {};
  if (group.root.get() != group.reduction) {
    parts.epilogue = bodies.make(plan, number, group.root->output(), group.reduction, further);
    inputs.insert(inputs.end(), further.begin() + 1, further.end());
  }
  return make_composite_reduce(parts, std::move(inputs), where);
}

}  // namespace

void fuse(FunctionGraph& graph) {
  FusionPlan plan(graph);
  BodyMaker bodies;
  for (std::size_t i = 0; i < plan.groups().size(); ++i) {
    const FusionGroup& group = plan.groups()[i];
    if (group.root->graph() != &graph) continue;  // merged with an equal one
    if (const Ref<Node> node = fused(plan, i, group, bodies)) {
      graph.replace(group.root->output(), node->output(), "fusion");
    }
  }
}

}  // namespace croton
