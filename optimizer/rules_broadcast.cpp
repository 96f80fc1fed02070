#include <algorithm>

#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

/// What lies under a value that was spread over a shape, with the rank of the spread one; else nothing.
Variable spread_value(const Variable& v) {
  if (const Node* second = node_of(v, "second")) return second->input(1);
  if (const Node* alloc = node_of(v, &alloc_op())) return pad_left(alloc->input(0), v.rank());
  return {};
}

Replacement drop_second(Match& match) {
  const Variable& value = match.input(1);
  return same_broadcast(value.type(), match.node().type()) ? value : Variable();
}

Replacement drop_alloc(Match& match) {
  return same_known_shape(match.input(0).type(), match.node().type()) ? match.input(0) : Variable();
}

/// f(second(a, b), c) = f(b, c) where c has the shape anyway.
Replacement use_unspread(Match& match) {
  const Node& node = match.node();
  if (node.op().name() == "second") {
    // Only the first operand's shape matters: what has it lends it too, without being computed.
    if (!is_elementwise(node.input(0))) return match.refuse("the first operand is not elementwise");
    for (const Variable& giver : node.input(0).node()->inputs()) {
      if (same_broadcast(giver.type(), node.input(0).type()))
        return elementwise("second", {giver, node.input(1)});
    }
    return match.refuse("no operand inside has the whole shape");
  }
  std::vector<Variable> inputs(node.inputs().begin(), node.inputs().end());
  bool changed = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Variable value = spread_value(inputs[i]);
    if (!value) continue;
    const Variable spread = std::exchange(inputs[i], value);
    const auto covered = [&](int axis) {
      return node.type().broadcastable(axis) || std::ranges::any_of(inputs, [&](const Variable& input) {
               return !input.type().broadcastable(axis);
             });
    };
    bool all = true;
    for (int axis = 0; axis < node.type().rank(); ++axis) all = all && covered(axis);
    if (all) {
      changed = true;
    } else {
      inputs[i] = spread;
    }
  }
  return changed ? Replacement(apply_op(node.op(), std::move(inputs), node.attributes())) : Replacement();
}

/// f(second(a, b), c) = second(a, f(b, c)): less is computed, and the spreading may vanish further on.
Replacement sink_second(Match& match) {
  const Node& node = match.node();
  if (node.op().name() == "second") return match.refuse("the op is second itself");
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const Node* second = node_of(node.input(i), "second");
    if (second == nullptr || !same_broadcast(second->input(0).type(), node.type())) continue;
    std::vector<Variable> inputs(node.inputs().begin(), node.inputs().end());
    inputs[i] = second->input(1);
    const Variable inner = apply_op(node.op(), std::move(inputs), node.attributes());
    return elementwise("second", {second->input(0), inner});
  }
  return match.refuse("no operand is spread to the shape");
}

/// f(alloc(v, shape)) = alloc(f(v), shape)
Replacement sink_alloc(Match& match) {
  const Node& node = match.node();
  if (node.input_count() != 1) return match.refuse("the op has several operands");
  const Node* alloc = node_of(node.input(0), &alloc_op());
  if (alloc == nullptr) return match.refuse("the operand is no alloc");
  std::vector<Variable> inputs(alloc->inputs().begin(), alloc->inputs().end());
  inputs[0] = apply_op(node.op(), {inputs[0]}, node.attributes());
  return apply_op(alloc_op(), std::move(inputs));
}

/// The sum over axes along which a value was spread is a multiple of it.
Replacement sum_of_spread(Match& match) {
  const Variable& x = match.input(0);
  const Variable value = spread_value(x);
  if (!value || !is_floating(x.dtype()))
    return match.refuse("the operand is not one value spread to a shape");
  const std::vector<std::int64_t> axes = reduced_axes(match.node());
  Variable count;
  for (std::int64_t axis : axes) {
    const int a = static_cast<int>(axis);
    if (!value.type().broadcastable(a) || x.type().broadcastable(a)) continue;
    const Variable n = extent(x, a);
    count = count ? elementwise("mul", {count, n}) : n;
  }
  if (!count) return match.refuse("no axis is reduced");
  Variable inner = reduction(match.node().op(), value, axes);
  Variable factor = apply_op(*find_elementwise("cast"), {count}, Attributes{{"dtype", inner.dtype()}});
  const Variable scaled = elementwise("mul", {inner, pad_left(factor, inner.rank())});
  // The axes that stay may have been spread too.
  std::vector<std::int64_t> kept;
  std::vector<Variable> extents;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    if (std::ranges::find(axes, axis) == axes.end()) extents.push_back(extent(x, static_cast<int>(axis)));
  }
  if (same_broadcast(scaled.type(), match.node().type())) return scaled;
  extents.insert(extents.begin(), scaled);
  return apply_op(alloc_op(), std::move(extents));
}

/// What is still spread at the end is given its shape: the variable that lent it need not be computed.
Replacement second_to_alloc(Match& match) {
  const Node& node = match.node();
  std::vector<Variable> inputs{node.input(1)};
  for (int axis = 0; axis < node.type().rank(); ++axis) {
    const Variable& giver = node.input(0).type().broadcastable(axis) ? node.input(1) : node.input(0);
    inputs.push_back(extent(giver, axis));
  }
  return apply_op(alloc_op(), std::move(inputs));
}

}  // namespace

const RuleSet& broadcast_rules() {
  static const RuleSet rules = {
      rule("useless_second", Roots("second"), drop_second),
      rule("useless_alloc", Roots("alloc"), drop_alloc),
      rule("unspread_operand", elementwise_roots(), use_unspread),
      rule("sink_second", elementwise_roots(), sink_second),
      rule("sink_alloc", elementwise_roots(), sink_alloc),
      rule("sum_of_spread", Roots("sum"), sum_of_spread).reassociates(),
  };
  return rules;
}

const RuleSet& alloc_rules() {
  static const RuleSet rules = {
      rule("second_to_alloc", Roots("second"), second_to_alloc),
  };
  return rules;
}

}  // namespace croton
