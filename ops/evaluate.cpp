#include "croton/ops/evaluate.h"

#include <fmt/format.h>

#include <shared_mutex>

#include "croton/graph/check_error.h"
#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/graph/order_until.h"
#include "croton/graph/shared_variable.h"

namespace croton {

namespace {

using Values = std::unordered_map<Variable, Tensor>;

void check_value(const Variable& variable, const Tensor& value) {
  const TensorType& type = variable.type();
  if (value.dtype() != type.dtype || value.rank() != type.rank()) {
    throw TypeError(fmt::format("the value of {} is {}", describe(variable),
                                to_string(TensorType{value.dtype(), value.shape()})));
  }
  if (!compatible(type, {value.dtype(), value.shape()})) {
    throw ShapeError(
        fmt::format("the value of {} has the shape {}", describe(variable), to_string(value.shape())));
  }
}

Tensor leaf_value(const Variable& variable) {
  const Node& node = *variable.node();
  switch (node.kind()) {
    case Node::Kind::constant:
      return node.value();
    case Node::Kind::shared: {
      const std::shared_lock lock(node.cell()->mutex());
      return node.cell()->value().copy();
    }
    default:
      throw MissingInputError(fmt::format("{} is needed and was given no value", describe(variable)));
  }
}

[[noreturn]] void rethrow_at(const Node& node, std::span<const Tensor> inputs) {
  std::string context = fmt::format("\n  in {}", node.op().label(node));
  if (node.where().known()) context += fmt::format(", made at {}", to_string(node.where()));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    context += fmt::format("\n  operand {}: {} of shape {}", i, describe(node.input(i)),
                           to_string(inputs[i].shape()));
  }
  try {
    throw;
  } catch (const ShapeError& e) {
    throw ShapeError(e.what() + context);
  } catch (const IndexError& e) {
    throw IndexError(e.what() + context);
  } catch (const ValueError& e) {
    throw ValueError(e.what() + context);
  } catch (const TypeError& e) {
    throw TypeError(e.what() + context);
  } catch (const AssertionError& e) {
    throw AssertionError(e.what() + context);
  }
}

}  // namespace

std::vector<Tensor> evaluate(std::span<const Variable> outputs, const Values& given) {
  Values values;
  for (const auto& [variable, value] : given) {
    check_value(variable, value);
    values.emplace(variable, value.to_host());
  }
  const auto value_of = [&](const Variable& v) -> const Tensor& {
    auto entry = values.find(v);
    if (entry == values.end()) entry = values.emplace(v, leaf_value(v)).first;
    return entry->second;
  };
  const std::vector<Node*> order =
      order_until(outputs, [&](const Variable& v) { return values.contains(v); });
  std::unordered_map<Variable, std::size_t> uses_left;  // values are dropped after their last use
  for (const Node* node : order) {
    for (const Variable& input : node->inputs()) ++uses_left[input];
  }
  for (const Variable& output : outputs) ++uses_left[output];
  std::vector<Tensor> inputs;
  for (Node* node : order) {
    inputs.clear();
    for (const Variable& input : node->inputs()) inputs.push_back(value_of(input));
    std::vector<Tensor> results;
    try {
      results = node->op().evaluate(*node, inputs);
    } catch (const Error&) {
      rethrow_at(*node, inputs);
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Variable output = node->output(i);
      if (results[i].dtype() != output.dtype() || results[i].rank() != output.rank()) {
        throw InternalError(fmt::format("{} computed {} for {}", node->op().label(*node),
                                        to_string(TensorType{results[i].dtype(), results[i].shape()}),
                                        describe(output)));
      }
      if (uses_left.contains(output)) values.try_emplace(output, std::move(results[i]));
    }
    for (const Variable& input : node->inputs()) {
      if (--uses_left[input] == 0) values.erase(input);
    }
  }
  std::vector<Tensor> results;
  for (const Variable& output : outputs) results.push_back(value_of(output));
  return results;
}

Tensor evaluate(const Variable& output, const Values& values) {
  return evaluate(std::span(&output, 1), values)[0];
}

}  // namespace croton
