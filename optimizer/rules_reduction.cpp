#include <algorithm>

#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

using Axes = std::vector<std::int64_t>;

bool has(const Axes& axes, std::int64_t axis) { return std::ranges::find(axes, axis) != axes.end(); }

/// sum(sum(x, a), b) = sum(x, a and b)
Replacement merge_reductions(Match& match) {
  const Node& outer = match.node();
  const Node* inner = node_of(outer.input(0), &outer.op());
  if (inner == nullptr || !match.sole_use(outer.input(0)) || inner->type().dtype != outer.type().dtype)
    return match.refuse("the operand is no reduction of the same kind that nobody else uses");
  Axes axes = reduced_axes(*inner);
  const Axes further = reduced_axes(outer);
  const Axes first = axes;
  for (std::int64_t axis = 0, kept = 0; axis < inner->input(0).rank(); ++axis) {
    if (has(first, axis)) continue;
    if (has(further, kept++)) axes.push_back(axis);
  }
  return reduction(outer.op(), inner->input(0), axes);
}

/// The order of axes does not matter to a reduction: sum(dimshuffle(x)) = dimshuffle(sum(x)).
Replacement reduce_before_dimshuffle(Match& match) {
  const Node& node = match.node();
  const Node* shuffle = node_of(node.input(0), &dimshuffle_op());
  if (shuffle == nullptr) return match.refuse("the operand is no dimshuffle");
  const Axes& pattern = shuffle_pattern(*shuffle);
  const Variable& x = shuffle->input(0);
  const Axes over = reduced_axes(node);
  if (x.dtype() != node.type().dtype && as_reduce(node.op())->row().result(x.dtype()) != node.type().dtype)
    return match.refuse("the result has another dtype than a reduction of the inner operand");
  Axes axes;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    const auto place = std::ranges::find(pattern, axis);
    if (place != pattern.end() && has(over, place - pattern.begin())) axes.push_back(axis);
  }
  if (axes.empty()) return match.refuse("no axis of the inner operand is reduced");
  Axes kept;  // the axes of x that stay, in order
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    if (!has(axes, axis)) kept.push_back(axis);
  }
  Axes result;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (has(over, static_cast<std::int64_t>(i))) continue;
    result.push_back(pattern[i] < 0 ? -1 : std::ranges::find(kept, pattern[i]) - kept.begin());
  }
  return dimshuffle(reduction(node.op(), x, axes), result);
}

/// sum(a * x) = a * sum(x) where a is the same along the reduced axes; so for quotients.
Replacement factor_out(Match& match) {
  const Node& node = match.node();
  const Variable& x = node.input(0);
  if (!is_elementwise(x) || !match.sole_use(x) || !is_floating(x.dtype()))
    return match.refuse("the operand is not elementwise and floating, or somebody else uses it");
  const Axes axes = reduced_axes(node);
  if (axes.empty()) return match.refuse("no axis is reduced");
  const auto constant_along = [&](const Variable& v) {
    return std::ranges::all_of(
        axes, [&](std::int64_t axis) { return v.type().broadcastable(static_cast<int>(axis)); });
  };
  Axes pattern;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    if (!has(axes, axis)) pattern.push_back(axis);
  }
  const std::string& name = x.node()->op().name();
  if (name == "neg") return elementwise("neg", {reduction(node.op(), x.node()->input(0), axes)});
  std::vector<Variable> outside, inside;
  if (name == "mul") {
    for (const Variable& factor : x.node()->inputs())
      (constant_along(factor) ? outside : inside).push_back(factor);
  } else if (name == "true_div" && constant_along(x.node()->input(1))) {
    outside = {x.node()->input(1)};
    inside = {x.node()->input(0)};
  }
  if (outside.empty() || inside.empty()) return match.refuse("no factor is the same along the reduced axes");
  const Variable product = inside.size() == 1 ? inside[0] : elementwise("mul", inside);
  // The extents along which is summed must not come from the factors.
  for (std::int64_t axis : axes) {
    if (product.type().broadcastable(static_cast<int>(axis)) !=
        x.type().broadcastable(static_cast<int>(axis)))
      return match.refuse("the factor outside decides the extent of a reduced axis");
  }
  std::vector<Variable> operands{reduction(node.op(), product, axes)};
  for (const Variable& factor : outside) operands.push_back(dimshuffle(factor, pattern));
  if (name == "mul") std::ranges::rotate(operands, operands.begin() + 1);
  const Variable result = elementwise(name, operands);
  return fit(result, node.type(), {});
}

/// The largest probability belongs to the largest activation.
Replacement argmax_of_softmax(Match& match) {
  const Node* softmax = node_of(match.input(0), "softmax");
  if (softmax == nullptr || !match.sole_use(match.input(0)))
    return match.refuse("the operand is no softmax that nobody else uses");
  const Axes axes = reduced_axes(match.node());
  if (axes != Axes{softmax->attributes().get<std::int64_t>("axis")})
    return match.refuse("the softmax is along other axes");
  return apply_op(match.node().op(), {softmax->input(0)}, match.node().attributes());
}

}  // namespace

const RuleSet& reduction_rules() {
  static const RuleSet rules = {
      rule("merge_reductions", reduction_roots(), merge_reductions).reassociates(),
      rule("reduce_before_dimshuffle", reduction_roots(), reduce_before_dimshuffle).reassociates(),
      rule("factor_out_of_sum", Roots("sum"), factor_out).reassociates(),
      rule("argmax_of_softmax", Roots({"argmax", "argmin"}), argmax_of_softmax).assumes_finite(),
  };
  return rules;
}

}  // namespace croton
