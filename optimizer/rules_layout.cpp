#include <algorithm>

#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

Replacement useless_dimshuffle(Match& match) {
  const Variable made = dimshuffle(match.input(0), shuffle_pattern(match.node()));
  return made == match.input(0) ? made : Variable();
}

Replacement merge_dimshuffles(Match& match) {
  const Node* inner = node_of(match.input(0), &dimshuffle_op());
  if (inner == nullptr) return match.refuse("the operand is no dimshuffle");
  std::vector<std::int64_t> pattern = shuffle_pattern(match.node());
  for (std::int64_t& entry : pattern) {
    if (entry >= 0) entry = shuffle_pattern(*inner)[static_cast<std::size_t>(entry)];
  }
  return dimshuffle(inner->input(0), pattern);
}

/// Axes come in their old order: only axes of extent 1 come and go.
bool keeps_order(const std::vector<std::int64_t>& pattern) {
  std::int64_t last = -1;
  for (std::int64_t entry : pattern) {
    if (entry < 0) continue;
    if (entry < last) return false;
    last = entry;
  }
  return true;
}

/// dimshuffle(f(a, b)) = f(dimshuffle(a), dimshuffle(b)), where that brings elementwise work together: a
/// transposition stays in front of a product, which takes it for nothing.
Replacement lift_dimshuffle(Match& match) {
  const Variable& x = match.input(0);
  if (!is_elementwise(x) || !match.sole_use(x))
    return match.refuse("the operand is not elementwise, or somebody else uses it");
  const std::vector<std::int64_t>& pattern = shuffle_pattern(match.node());
  const auto uses = match.node().uses();
  const bool only_elementwise =
      !uses.empty() && !match.graph().is_output(match.output()) &&
      std::ranges::all_of(uses, [](const Use& use) {
        return as_elementwise(use.node->op()) != nullptr || as_reduce(use.node->op()) != nullptr;
      });
  if (!only_elementwise && !keeps_order(pattern))
    return match.refuse("the axes change their order, and somebody needs the result as it is");
  std::vector<Variable> inputs;
  for (const Variable& input : x.node()->inputs()) inputs.push_back(dimshuffle(input, pattern));
  return apply_op(x.node()->op(), std::move(inputs), x.node()->attributes());
}

/// (a b)^T = b^T a^T
Replacement transpose_of_product(Match& match) {
  const Variable& product = match.input(0);
  if (shuffle_pattern(match.node()) != transposition || !match.sole_use(product))
    return match.refuse("it is no transposition, or somebody else uses the product");
  const Node& node = *product.node();
  if (!node.is_apply() || node.op().name() != "dot" || node.input(0).rank() != 2 ||
      node.input(1).rank() != 2) {
    return match.refuse("the operand is no product of two matrices");
  }
  return apply_op(node.op(),
                  {dimshuffle(node.input(1), transposition), dimshuffle(node.input(0), transposition)});
}

Replacement useless_reshape(Match& match) {
  const Variable& x = match.input(0);
  if (same_known_shape(x.type(), match.node().type())) return x;
  // A vector stays a vector.
  return x.rank() == 1 && match.node().type().rank() == 1 ? x : Variable();
}

Replacement merge_reshapes(Match& match) {
  const Node* inner = node_of(match.input(0), &reshape_op());
  if (inner == nullptr) return match.refuse("the operand is no reshape");
  return apply_op(reshape_op(), {inner->input(0), match.input(1)}, match.node().attributes());
}

/// A reshape that only adds or drops axes of extent 1 is a dimshuffle.
Replacement reshape_to_dimshuffle(Match& match) {
  const Shape& from = match.input(0).type().shape;
  const Shape& to = match.node().type().shape;
  if (!from.is_known() || !to.is_known() || from.count() == 0)
    return match.refuse("a shape is not known, or there are no elements");
  std::vector<std::int64_t> pattern;
  std::size_t source = 0;
  const auto skip_ones = [&] {
    while (source < from.size() && from[source] == 1) ++source;
  };
  for (std::int64_t extent : to) {
    if (extent == 1) {
      pattern.push_back(-1);
      continue;
    }
    skip_ones();
    if (source == from.size() || from[source] != extent)
      return match.refuse("the reshape does more than add and drop axes of extent 1");
    pattern.push_back(static_cast<std::int64_t>(source++));
  }
  skip_ones();
  return source == from.size() ? dimshuffle(match.input(0), pattern) : Variable();
}

Replacement simplify_join(Match& match) {
  const Node& node = match.node();
  const auto axis = static_cast<std::size_t>(node.attributes().get<std::int64_t>("axis"));
  if (node.input_count() == 1) return node.input(0);
  std::vector<Variable> parts;
  for (const Variable& input : node.inputs()) {
    const Node* inner = node_of(input, &join_op());
    if (inner != nullptr && match.sole_use(input) && inner->attributes() == node.attributes()) {
      parts.insert(parts.end(), inner->inputs().begin(), inner->inputs().end());
    } else if (input.type().shape[axis] != 0) {
      parts.push_back(input);
    }
  }
  if (parts.empty() || std::ranges::equal(parts, node.inputs()))
    return match.refuse("there is nothing to join, or nothing to take apart");
  return parts.size() == 1 ? parts[0] : apply_op(node.op(), std::move(parts), node.attributes());
}

}  // namespace

const RuleSet& layout_rules() {
  static const RuleSet rules = {
      rule("useless_dimshuffle", Roots("dimshuffle"), useless_dimshuffle),
      rule("merge_dimshuffles", Roots("dimshuffle"), merge_dimshuffles),
      rule("lift_dimshuffle", Roots("dimshuffle"), lift_dimshuffle),
      rule("transpose_of_product", Roots("dimshuffle"), transpose_of_product).reassociates(),
      rule("useless_reshape", Roots("reshape"), useless_reshape),
      rule("merge_reshapes", Roots("reshape"), merge_reshapes),
      rule("reshape_to_dimshuffle", Roots("reshape"), reshape_to_dimshuffle),
      rule("simplify_join", Roots("join"), simplify_join),
  };
  return rules;
}

}  // namespace croton
