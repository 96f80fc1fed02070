#include "croton/ops/composite_body.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"

namespace croton {

std::shared_ptr<const Subgraph> body_of(const Attributes& attributes, std::string_view name) {
  const AttributeValue* value = attributes.find(name);
  const auto* body = value == nullptr ? nullptr : std::get_if<std::shared_ptr<const Subgraph>>(value);
  if (body == nullptr || *body == nullptr) {
    throw TypeError(fmt::format("a fused node needs the attribute {}: a graph", name));
  }
  return *body;
}

void check_body(const Subgraph& body, std::span<const Variable> inputs, std::string_view name) {
  std::vector<TensorType> types;
  for (const Variable& input : inputs) types.push_back(input.type());
  check_body_types(body, types, name);
}

void check_body_types(const Subgraph& body, std::span<const TensorType> inputs, std::string_view name) {
  if (body.inputs().size() != inputs.size()) {
    throw TypeError(fmt::format("the {} of a fused node takes {} operands, got {}", name,
                                body.inputs().size(), inputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Variable& input = body.inputs()[i];
    if (input.rank() != 0 || input.dtype() != inputs[i].dtype) {
      throw TypeError(fmt::format("input {} of the {} of a fused node is {}, its operand {}", i, name,
                                  to_string(input.type()), to_string(inputs[i])));
    }
  }
  for (const Node* node : body.nodes()) {
    if (as_elementwise(node->op()) == nullptr || node->type().rank() != 0) {
      throw TypeError(fmt::format("the {} of a fused node holds {}, which is not elementwise on scalars",
                                  name, node->op().label(*node)));
    }
  }
  for (const Variable& output : body.outputs()) {
    if (output.rank() != 0)
      throw TypeError(fmt::format("the {} of a fused node has an output of rank {}", name, output.rank()));
  }
}

std::vector<Tensor> evaluate_body(const Subgraph& body, std::span<const Tensor> inputs, const Shape& shape) {
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    values.emplace(body.inputs()[i], inputs[i].broadcast_to(shape));
  }
  const auto value_of = [&](const Variable& v) {
    const auto entry = values.find(v);
    return entry != values.end() ? entry->second : v.constant_value().broadcast_to(shape);
  };
  for (const Node* node : body.nodes()) {
    std::vector<Tensor> operands;
    for (const Variable& input : node->inputs()) operands.push_back(value_of(input));
    values[node->output()] = as_elementwise(node->op())->evaluate_same_shape(operands, node->type().dtype);
  }
  std::vector<Tensor> outputs;
  for (const Variable& output : body.outputs()) {
    const Tensor value = value_of(output);
    outputs.push_back(output.node()->is_apply() ? value : value.copy());
  }
  return outputs;
}

std::string scalar_text(const Tensor& value) {
  if (is_bool(value.dtype())) return value.item<bool>() ? "True" : "False";
  if (is_integer(value.dtype())) return to_string(value);
  if (value.dtype() == DType::float64) return fmt::format("{:#}", value.item<double>());
  return fmt::format("{:#}", value.item<float>());
}

std::string elementwise_text(const Node& node, std::span<const std::string> operands) {
  const ElementwiseRow& row = as_elementwise(node.op())->row();
  if (row.rule == DTypeRule::cast) {
    return fmt::format("Cast{{{}}}({})", name_of(node.type().dtype), operands[0]);
  }
  if (!row.variadic || operands.size() == 2) {
    std::vector<std::string> padded(operands.begin(), operands.end());
    padded.resize(3);
    return fmt::format(fmt::runtime(row.print), padded[0], padded[1], padded[2]);
  }
  if (row.print.front() != '(') return fmt::format("{}({})", row.name, fmt::join(operands, ", "));
  // "({0} + {1})" of more than two operands is "(a + b + c)": the separator is what stands between.
  const std::string separator = row.print.substr(4, row.print.size() - 8);
  return fmt::format("({})", fmt::join(operands, separator));
}

namespace {

/// Texts grow with the paths through a graph that shares values: beyond this length a shared value gets a
/// name.
constexpr std::size_t shared_text_limit = 200;

}  // namespace

std::string composite_text(const Subgraph& body) {
  std::unordered_map<Variable, std::string> texts;
  std::unordered_map<Variable, std::size_t> uses;
  for (std::size_t i = 0; i < body.inputs().size(); ++i) texts[body.inputs()[i]] = fmt::format("i{}", i);
  for (const Node* node : body.nodes()) {
    for (const Variable& input : node->inputs()) ++uses[input];
  }
  const auto text_of = [&](const Variable& v) {
    const auto entry = texts.find(v);
    return entry != texts.end() ? entry->second : scalar_text(v.constant_value());
  };
  std::string definitions;
  std::size_t names = 0;
  for (const Node* node : body.nodes()) {
    std::vector<std::string> operands;
    for (const Variable& input : node->inputs()) operands.push_back(text_of(input));
    std::string text = elementwise_text(*node, operands);
    if (uses[node->output()] > 1 && text.size() > shared_text_limit) {
      const std::string name = fmt::format("t{}", names++);
      definitions += name + " = " + text + "; ";
      text = name;
    }
    texts[node->output()] = std::move(text);
  }
  std::vector<std::string> outputs;
  for (const Variable& output : body.outputs()) outputs.push_back(text_of(output));
  if (outputs.size() == 1) return definitions + outputs[0];
  return fmt::format("{}[{}]", definitions, fmt::join(outputs, ", "));
}

}  // namespace croton
