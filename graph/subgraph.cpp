#include "croton/graph/subgraph.h"

#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/function_graph.h"
#include "croton/graph/hash.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"

namespace croton {

Subgraph::Subgraph(const std::vector<Variable>& inputs, const std::vector<Variable>& outputs) {
  std::unordered_map<Variable, Variable> replacements;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Variable input(Node::make_input(inputs[i].type(), "i" + std::to_string(i), {}));
    replacements.emplace(inputs[i], input);
    inputs_.push_back(input);
  }
  outputs_ = clone(outputs, replacements);
  nodes_ = topological_order(outputs_);

  std::unordered_map<const Node*, std::uint32_t> numbers;
  for (const Variable& input : inputs_) {
    numbers.emplace(input.node(), static_cast<std::uint32_t>(all_.size()));
    all_.push_back(input.node());
    hash_combine(hash_, static_cast<std::size_t>(input.dtype()));
    for (std::int64_t extent : input.type().shape) hash_combine(hash_, static_cast<std::size_t>(extent));
  }
  const auto refer = [&](const Variable& v) {
    const auto [entry, first] = numbers.try_emplace(v.node(), static_cast<std::uint32_t>(all_.size()));
    if (first) {
      if (!v.is_constant())
        throw InternalError("a subgraph needs " + describe(v) + ", which is not among its inputs");
      all_.push_back(v.node());
      hash_combine(hash_, static_cast<std::size_t>(v.dtype()));
    }
    wiring_.push_back({entry->second, v.output_index()});
    hash_combine(hash_, entry->second * 8 + v.output_index());
  };
  for (Node* node : nodes_) {
    for (const Variable& input : node->inputs()) refer(input);
    numbers.emplace(node, static_cast<std::uint32_t>(all_.size()));
    all_.push_back(node);
    hash_combine(hash_, reinterpret_cast<std::size_t>(&node->op()));
    hash_combine(hash_, node->attributes().hash());
  }
  for (const Variable& output : outputs_) refer(output);
}

bool operator==(const Subgraph& a, const Subgraph& b) {
  if (a.hash_ != b.hash_ || a.inputs_.size() != b.inputs_.size() || a.all_.size() != b.all_.size() ||
      a.wiring_ != b.wiring_) {
    return false;
  }
  for (std::size_t i = 0; i < a.all_.size(); ++i) {
    const Node& x = *a.all_[i];
    const Node& y = *b.all_[i];
    if (x.kind() != y.kind() || x.output_count() != y.output_count()) return false;
    for (std::size_t output = 0; output < x.output_count(); ++output) {
      if (x.type(output) != y.type(output)) return false;
    }
    if (x.kind() == Node::Kind::constant && !same_value(x.value(), y.value())) return false;
    if (x.is_apply() && (&x.op() != &y.op() || !(x.attributes() == y.attributes()))) return false;
  }
  return true;
}

}  // namespace croton
