#include "croton/runtime/bisect_case.h"

#include <set>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/evaluate.h"

namespace croton {

namespace {

std::unordered_map<Variable, Tensor> values_by_input(const BisectCase& of) {
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < of.graph.inputs.size(); ++i) values.emplace(of.graph.inputs[i], of.inputs[i]);
  return values;
}

}  // namespace

BisectCase case_without_shared(const BisectCase& from) {
  BisectCase result{{from.graph.name, {}, {}}, from.inputs};
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

BisectCase trimmed_case(const BisectCase& from) {
  std::set<const Node*> needed;
  for (const Variable& v : from.graph.outputs) needed.insert(v.node());
  for (const Node* node : topological_order(from.graph.outputs)) {
    for (const Variable& input : node->inputs()) needed.insert(input.node());
  }
  BisectCase result{{from.graph.name, {}, from.graph.outputs}, {}};
  for (std::size_t i = 0; i < from.graph.inputs.size(); ++i) {
    if (!needed.contains(from.graph.inputs[i].node())) continue;
    result.graph.inputs.push_back(from.graph.inputs[i]);
    result.inputs.push_back(from.inputs[i]);
  }
  return result;
}

BisectCase cut_case(const BisectCase& from, const std::vector<Variable>& variables) {
  const std::vector<Tensor> values = evaluate(variables, values_by_input(from));
  BisectCase result = from;
  std::unordered_map<Variable, Variable> inputs;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const Variable input(
        Node::make_input(variables[i].type(), variables[i].name(), variables[i].node()->where()));
    inputs.emplace(variables[i], input);
    result.graph.inputs.push_back(input);
    result.inputs.push_back(values[i]);
  }
  result.graph.outputs = clone(from.graph.outputs, inputs);
  return trimmed_case(result);
}

BisectCase sliced_case(const BisectCase& from, std::int64_t extent, std::int64_t kept) {
  BisectCase result{{from.graph.name, {}, {}}, {}};
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

}  // namespace croton
