#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/op.h"

namespace croton {

TensorType refine(const TensorType& inferred, const TensorType& known) {
  TensorType type = inferred;
  if (inferred.rank() == known.rank()) {
    for (std::size_t i = 0; i < type.shape.size(); ++i) {
      if (type.shape[i] == unknown) type.shape[i] = known.shape[i];
    }
  }
  return type;
}

std::vector<Variable> clone(std::span<const Variable> outputs,
                            const std::unordered_map<Variable, Variable>& replacements, CloneTypes types) {
  std::unordered_map<Variable, Variable> copies(replacements);
  const auto copy_of = [&](const Variable& v) {
    const auto entry = copies.find(v);
    return entry == copies.end() ? v : entry->second;
  };
  // A depth-first walk that stops at what is replaced: nodes behind a replaced variable may not be needed at
  // all.
  std::unordered_map<Node*, bool> done;
  std::vector<Node*> stack;
  const auto enter = [&](const Variable& v) {
    if (v.node()->is_apply() && !copies.contains(v) && !done.contains(v.node())) stack.push_back(v.node());
  };
  for (const Variable& output : outputs) {
    enter(output);
    while (!stack.empty()) {
      Node* node = stack.back();
      const auto [entry, first] = done.try_emplace(node, false);
      if (first) {
        for (const Variable& input : node->inputs()) enter(input);
        continue;
      }
      stack.pop_back();
      if (entry->second) continue;
      entry->second = true;
      std::vector<Variable> inputs;
      inputs.reserve(node->input_count());
      for (const Variable& input : node->inputs()) inputs.push_back(copy_of(input));
      Ref<Node> copy;
      if (types == CloneTypes::infer) {
        copy = make_node(node->op(), std::move(inputs), node->attributes(), node->where());
      } else {
        std::vector<TensorType> kept;
        for (std::size_t i = 0; i < node->output_count(); ++i) kept.push_back(node->type(i));
        copy = Node::make_apply(node->op(), std::move(inputs), node->attributes(), std::move(kept),
                                node->where());
      }
      for (std::size_t i = 0; i < node->output_count(); ++i) {
        Variable output_copy(copy, static_cast<std::uint32_t>(i));
        output_copy.set_name(node->name(i));
        copies.try_emplace(node->output(i), output_copy);
      }
    }
  }
  std::vector<Variable> results;
  for (const Variable& output : outputs) results.push_back(copy_of(output));
  return results;
}

}  // namespace croton
