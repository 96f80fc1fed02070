#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/op.h"
#include "croton/graph/order_until.h"

namespace croton {

std::vector<Variable> clone(std::span<const Variable> outputs,
                            const std::unordered_map<Variable, Variable>& replacements, CloneTypes types) {
  std::unordered_map<Variable, Variable> copies(replacements);
  const auto copy_of = [&](const Variable& v) {
    const auto entry = copies.find(v);
    return entry == copies.end() ? v : entry->second;
  };
  const auto is_replaced = [&](const Variable& v) { return replacements.contains(v); };
  const auto order = order_until(outputs, is_replaced);
  copies.reserve(copies.size() + order.size());
  for (Node* node : order) {
    std::vector<Variable> inputs;
    inputs.reserve(node->input_count());
    for (const Variable& input : node->inputs()) inputs.push_back(copy_of(input));
    Ref<Node> copy;
    if (types == CloneTypes::infer) {
      copy = make_node(node->op(), std::move(inputs), node->attributes(), node->where());
    } else {
      std::vector<TensorType> kept;
      for (std::size_t i = 0; i < node->output_count(); ++i) kept.push_back(node->type(i));
      copy =
          Node::make_apply(node->op(), std::move(inputs), node->attributes(), std::move(kept), node->where());
    }
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      Variable output_copy(copy, static_cast<std::uint32_t>(i));
      output_copy.set_name(node->name(i));
      copies.try_emplace(node->output(i), output_copy);
    }
  }
  std::vector<Variable> results;
  for (const Variable& output : outputs) results.push_back(copy_of(output));
  return results;
}

}  // namespace croton
