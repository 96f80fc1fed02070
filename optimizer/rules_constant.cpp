#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

constexpr std::int64_t always_small = 1024;             // elements: folded whatever the inputs
constexpr std::int64_t reference_is_quick = 1'000'000;  // elements that the reference may work on

/// Ops whose work is in proportion to their inputs and outputs.
bool is_linear(const Node& node) {
  return as_elementwise(node.op()) != nullptr || as_reduce(node.op()) != nullptr ||
         !node.op().view_map(node).empty();
}

Replacement fold(Match& match) {
  const Node& node = match.node();
  if (node.op().has_side_effect()) return match.refuse("the op has a side effect");
  std::int64_t read = 0;
  for (const Variable& input : node.inputs()) {
    if (!input.is_constant()) return match.refuse("an operand is no constant");
    read += input.constant_value().size();
  }
  std::int64_t written = 0;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (!node.type(i).shape.is_known()) return match.refuse("the shape of the result is not known");
    written += node.type(i).shape.count();
  }
  // Folding must not blow up what is kept (an alloc of a large shape), nor take long.
  if (written > std::max(read, always_small))
    return match.refuse("the result would be larger than what it is made of");
  if (is_linear(node) ? read + written > reference_is_quick
                      : static_cast<double>(read) * static_cast<double>(written) > reference_is_quick) {
    return match.refuse("computing it while compiling would take too long");
  }
  std::vector<Tensor> inputs;
  for (const Variable& input : node.inputs()) inputs.push_back(input.constant_value());
  try {
    std::vector<Variable> outputs;
    for (Tensor& value : node.op().evaluate(node, inputs)) outputs.push_back(constant(value.contiguous()));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!compatible(outputs[i].type(), node.type(i))) return {};
    }
    return outputs;
  } catch (const Error&) {
    return match.refuse(
        "computing it fails: the call will say how");  // the call will report it, should it get there
  }
}

}  // namespace

const RuleSet& constant_rules() {
  static const RuleSet rules = {
      rule("constant_folding", all_roots(), fold),
  };
  return rules;
}

}  // namespace croton
