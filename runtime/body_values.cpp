#include "croton/runtime/body_values.h"

#include <unordered_map>
#include <vector>

#include "croton/graph/op.h"

namespace croton {

void for_each_body_value(const Subgraph& body, std::span<const Tensor> inputs,
                         const std::function<void(const Node&, std::span<const Tensor>, const Tensor&)>& f) {
  std::unordered_map<Variable, Tensor> values;
  for (std::size_t i = 0; i < body.inputs().size(); ++i) values.emplace(body.inputs()[i], inputs[i]);
  const std::size_t rank = inputs.empty() ? 0 : inputs[0].shape().size();
  const Shape ones = Shape::filled(rank, 1);
  for (Node* node : body.nodes()) {
    std::vector<Tensor> operands;
    std::vector<Variable> variables;
    for (const Variable& operand : node->inputs()) {
      const auto entry = values.find(operand);
      operands.push_back(entry != values.end() ? entry->second
                                               : operand.constant_value().to_host().reshape(ones));
      variables.emplace_back(
          Node::make_input({operands.back().dtype(), operands.back().shape()}, operand.name(), {}));
    }
    const Ref<Node> whole = make_node(node->op(), std::move(variables), node->attributes(), node->where());
    const std::vector<Tensor> results = whole->op().evaluate(*whole, operands);
    for (std::size_t i = 0; i < results.size(); ++i) {
      f(*node, operands, results[i]);
      values.emplace(node->output(i), results[i]);
    }
  }
}

}  // namespace croton
