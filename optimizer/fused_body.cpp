#include "croton/optimizer/fused_body.h"

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/graph/tensor.h"
#include "croton/graph/text.h"
#include "croton/optimizer/fusion_groups.h"

namespace croton {

/// The nodes from a body's inputs to its outputs, in order.
struct BodyMaker::Body {
  std::vector<Variable> inputs;
  std::vector<const Node*> nodes;
};

std::shared_ptr<const Subgraph> BodyMaker::make(const Inside& inside, const std::vector<Variable>& outputs,
                                                const Node* stop, std::vector<Variable>& inputs) {
  Body body;
  if (stop != nullptr) body.inputs.push_back(stop->output());
  for (const Variable& output : outputs) collect(inside, output, stop, body);
  inputs = body.inputs;
  auto& made = bodies_[key_of(body, outputs)];
  if (!made) made = build(body, outputs);
  return made;
}

void BodyMaker::collect(const Inside& inside, const Variable& output, const Node* stop, Body& body) {
  struct Step {
    const Node* node;
    std::size_t next;
  };
  std::vector<Step> stack;
  const auto enter = [&](const Variable& v) {
    if (is_inlined_constant(v)) return;
    const Node* node = v.node();
    const bool within = node != stop && node->is_apply() && inside(*node);
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

std::string BodyMaker::key_of(const Body& body, const std::vector<Variable>& outputs) {
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
  for (const Variable& output : outputs) refer(output);
  return key;
}

std::shared_ptr<const Subgraph> BodyMaker::build(const Body& body, const std::vector<Variable>& outputs) {
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
  std::vector<Variable> results;
  for (const Variable& output : outputs) results.push_back(scalar(output));
  return std::make_shared<const Subgraph>(inputs, results);
}

}  // namespace croton
