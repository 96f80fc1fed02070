#include <algorithm>

#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/ops/transfer.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

using namespace pattern;

const ElementwiseRow& row_of(const Match& match) { return as_elementwise(match.node().op())->row(); }

bool unary(const Match& match, ElementwiseTrait trait) {
  return match.node().input_count() == 1 && row_of(match).has(trait);
}

Replacement drop_idempotent(Match& match) {
  const Node& node = match.node();
  const ElementwiseRow& row = row_of(match);
  if (!row.has(ElementwiseTrait::idempotent)) return match.refuse("f(x, x) of this op is not x");
  if (node.input_count() == 1) {
    return node_of(node.input(0), &node.op()) != nullptr ? node.input(0) : Replacement();
  }
  // f(x, x, y) = f(x, y)
  std::vector<Variable> kept;
  for (const Variable& input : node.inputs()) {
    if (std::ranges::find(kept, input) == kept.end()) kept.push_back(input);
  }
  if (kept.size() == node.input_count()) return match.refuse("no operand occurs twice");
  return kept.size() == 1 ? kept[0] : apply_op(node.op(), kept, node.attributes());
}

Replacement drop_involution(Match& match) {
  if (!unary(match, ElementwiseTrait::involution))
    return match.refuse("the operand is not the same op, or f(f(x)) of it is not x");
  const Node* inner = node_of(match.input(0), &match.node().op());
  return inner != nullptr ? Replacement(inner->input(0)) : Replacement();
}

Replacement drop_sign_under_even(Match& match) {
  if (!unary(match, ElementwiseTrait::even_function))
    return match.refuse("the op is not even, or its operand is no sign change");
  const Node* inner = node_of(match.input(0), "neg");
  return inner != nullptr
             ? Replacement(apply_op(match.node().op(), {inner->input(0)}, match.node().attributes()))
             : Replacement();
}

/// Every value of `from` is one of `to`.
bool widens(DType from, DType to) {
  if (from == to || is_bool(from)) return true;
  if (is_discrete(from) && is_discrete(to)) {
    if (is_bool(to)) return false;
    const bool sign_kept = is_signed_integer(to) || is_unsigned_integer(from);
    const bool wider = size_of(to) > size_of(from);
    return sign_kept &&
           (wider || (size_of(to) == size_of(from) && is_signed_integer(from) == is_signed_integer(to)));
  }
  if (is_discrete(from))
    return to == DType::float64 ? size_of(from) <= 4 : to == DType::float32 && size_of(from) <= 2;
  return is_floating(to) && size_of(to) > size_of(from);
}

Replacement drop_cast(Match& match) {
  const Variable& x = match.input(0);
  const DType to = match.node().type().dtype;
  if (x.dtype() == to) return x;
  const Node* inner = node_of(x, &match.node().op());
  if (inner == nullptr || !widens(inner->input(0).dtype(), x.dtype()))
    return match.refuse("the dtype is another, and no cast inside widens");
  // The first cast lost nothing. A bool result compares with 0, which widening keeps.
  return apply_op(match.node().op(), {inner->input(0)}, match.node().attributes());
}

Replacement constant_switch(Match& match) {
  const Node& node = match.node();
  if (node.input(1) == node.input(2)) return fit(node.input(1), node.type(), node.inputs());
  const std::optional<double> condition = uniform_value(node.input(0));
  if (!condition) return match.refuse("both values differ and the condition is no constant");
  return fit(node.input(*condition != 0 ? 1 : 2), node.type(), node.inputs());
}

/// Axes of extent 1 need no reduction: they are dropped.
Replacement drop_reduction(Match& match) {
  const Variable& x = match.input(0);
  const DType to = match.node().type().dtype;
  if (x.dtype() != to) return match.refuse("the reduction changes the dtype");
  std::vector<std::int64_t> axes = reduced_axes(match.node());
  std::vector<std::int64_t> useless, pattern;
  for (std::int64_t axis : axes) {
    if (x.type().broadcastable(static_cast<int>(axis))) useless.push_back(axis);
  }
  if (useless.empty() && !axes.empty()) return match.refuse("no reduced axis is known to have extent 1");
  std::vector<std::int64_t> left;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    if (std::ranges::find(useless, axis) != useless.end()) continue;
    if (std::ranges::find(axes, axis) != axes.end())
      left.push_back(static_cast<std::int64_t>(pattern.size()));
    pattern.push_back(axis);
  }
  const Variable reduced = dimshuffle(x, pattern);
  return left.empty() ? reduced : reduction(match.node().op(), reduced, left);
}

Replacement drop_specify_shape(Match& match) {
  return match.input(0).type().shape == match.node().type().shape ? match.input(0) : Variable();
}

Replacement drop_contiguous(Match& match) {
  // What an op computes is in C order already, unless it is a view or the copy of one.
  const Node& source = *match.input(0).node();
  if (!source.is_apply() || !source.op().view_map(source).empty())
    return match.refuse("the operand may lie in another order: it is an input or a view");
  return match.input(0);
}

/// There and back again.
Replacement cut_transfer(Match& match) {
  const Node& source = *match.input(0).node();
  if (!source.is_apply() || !is_transfer(source.op())) return {};
  const Variable& x = source.input(0);
  return x.type().device == match.node().type().device ? Replacement(x) : Replacement();
}

Replacement drop_true_conditions(Match& match) {
  const Node& node = match.node();
  std::vector<Variable> kept{node.input(0)};
  for (const Variable& condition : node.inputs().subspan(1)) {
    const bool is_true = condition.is_constant() && condition.constant_value().size() == 1 &&
                         condition.constant_value().item<double>() != 0;
    if (!is_true) kept.push_back(condition);
  }
  if (kept.size() == node.input_count()) return {};
  return kept.size() == 1 ? kept[0] : apply_op(node.op(), std::move(kept), node.attributes());
}

}  // namespace

const RuleSet& useless_rules() {
  static const RuleSet rules = {
      rule("identity", identity(x), x),
      // Marks for gradients, which have been taken.
      rule("gradient_marker", Roots({"disconnected_grad", "zero_grad", "grad_clip", "grad_scale"}),
           [](Match& match) -> Replacement { return match.input(0); }),
      rule("idempotent", elementwise_roots(), drop_idempotent),
      rule("involution", elementwise_roots(), drop_involution),
      rule("even_of_neg", elementwise_roots(), drop_sign_under_even),
      rule("useless_cast", Roots("cast"), drop_cast),
      rule("constant_switch", Roots("switch"), constant_switch),
      rule("useless_reduction", reduction_roots(), drop_reduction),
      rule("useless_specify_shape", Roots("specify_shape"), drop_specify_shape),
      rule("cut_transfer", Roots({"gpu_from_host", "host_from_gpu"}), cut_transfer),
      rule("useless_assert", Roots("assert"), drop_true_conditions),
      rule("remove_all_assert", Roots("assert"), [](Match& match) -> Replacement { return match.input(0); })
          .tagged("unsafe")
          .opt_in(),
      rule("useless_contiguous", Roots("contiguous"), drop_contiguous),

      rule("add_zero", x + 0, x),
      rule("sub_zero", x - 0, x),
      rule("zero_sub", 0 - x, neg(x)),
      rule("mul_one", x * 1, x),
      rule("div_one", x / 1, x),
      rule("floor_div_one", floor_div(x, 1), x).when(discrete(x)),
      rule("pow_one", pow(x, 1), x),
      rule("pow_zero", pow(x, 0), 1),
      rule("mul_zero", x * 0, 0).assumes_finite(),
      rule("zero_div", 0 / x, 0).assumes_finite().on(0.1, 3),
      rule("sub_self", x - x, 0).assumes_finite(),
      rule("div_self", x / x, 1).assumes_finite().on(0.1, 3),
      rule("sub_neg", x - neg(y), x + y),
      rule("add_neg", x + neg(y), x - y),
      rule("neg_sub", neg(x - y), y - x).consuming(),
      rule("mul_minus_one", x * -1, neg(x)),
      rule("div_minus_one", x / -1, neg(x)),
      rule("mul_of_negs", neg(x) * neg(y), x * y),
      rule("mul_of_neg", neg(x) * y, neg(x * y)).consuming(),
      rule("div_of_negs", neg(x) / neg(y), x / y),
      rule("div_of_neg", neg(x) / y, neg(x / y)).consuming(),
      rule("not_less", invert(lt(x, y)), ge(x, y)).when(discrete(x)),
      rule("not_greater", invert(gt(x, y)), le(x, y)).when(discrete(x)),
      rule("not_equal", invert(eq(x, y)), neq(x, y)),
      rule("not_different", invert(neq(x, y)), eq(x, y)),
  };
  return rules;
}

}  // namespace croton
