
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/nnet.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

using namespace pattern;

/// A sum along one axis put back with extent 1: what is summed, and the axis.
struct KeptSum {
  Variable x;
  std::int64_t axis = 0;
};
std::optional<KeptSum> kept_sum(const Variable& v) {
  const Node* shuffle = node_of(v, &dimshuffle_op());
  if (shuffle == nullptr) return std::nullopt;
  const Node* sum = node_of(shuffle->input(0), "sum");
  if (sum == nullptr) return std::nullopt;
  const std::vector<std::int64_t> over = reduced_axes(*sum);
  if (over.size() != 1) return std::nullopt;
  const Variable restored = restore_axes(sum->output(), over);
  if (!(shuffle->attributes() == restored.node()->attributes())) return std::nullopt;
  return KeptSum{sum->input(0), over[0]};
}

/// exp(x) / sum(exp(x), axis, keepdims)
Replacement softmax_from_exps(Match& match) {
  const Variable& numerator = match.input(0);
  const std::optional<KeptSum> sum = kept_sum(match.input(1));
  if (!sum || !(sum->x == numerator) || node_of(numerator, "exp") == nullptr)
    return match.refuse("it is no quotient exp(x) / sum(exp(x)) along one axis that is kept");
  return apply_op(softmax_op(), {numerator.node()->input(0)}, Attributes{{"axis", sum->axis}});
}

/// softmax(x - c) = softmax(x) for what is the same along the axis: softmax subtracts the maximum itself.
Replacement softmax_of_shifted(Match& match) {
  const Node& node = match.node();
  const Node* sum = node_of(node.input(0), "sub");
  if (sum == nullptr) sum = node_of(node.input(0), "add");
  if (sum == nullptr || sum->input_count() != 2)
    return match.refuse("the operand of softmax is no sum or difference of two");
  const int along = static_cast<int>(node.attributes().get<std::int64_t>("axis"));
  const Variable &x = sum->input(0), &shift = sum->input(1);
  if (!shift.type().broadcastable(along) || !same_broadcast(x.type(), node.type()))
    return match.refuse("what is added to the operand of softmax differs along its axis");
  return apply_op(node.op(), {x}, node.attributes());
}

/// x = activation + bias row.
struct Biased {
  Variable x, bias;
};
std::optional<Biased> take_bias(const Match& match, const Variable& v) {
  const Node* sum = node_of(v, "add");
  if (sum == nullptr || v.rank() != 2 || !is_floating(v.dtype()) || !match.sole_use(v)) return std::nullopt;
  for (std::size_t i = 0; i < sum->input_count(); ++i) {
    const Node* row = node_of(sum->input(i), &dimshuffle_op());
    if (row == nullptr || row->input(0).rank() != 1 ||
        shuffle_pattern(*row) != std::vector<std::int64_t>{-1, 0})
      continue;
    std::vector<Variable> others(sum->inputs().begin(), sum->inputs().end());
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    const Variable x = others.size() == 1 ? others[0] : apply_op(sum->op(), others);
    if (!same_broadcast(x.type(), v.type()) || row->input(0).type().broadcastable(0)) continue;
    return Biased{x, row->input(0)};
  }
  return std::nullopt;
}

Variable zero_bias(const Variable& activation) {
  const Variable zero = scalar_constant(0, activation.dtype());
  return apply_op(alloc_op(), {zero, extent(activation, 1)});
}

bool along_rows(const Node& softmax) {
  return softmax.input(0).rank() == 2 && softmax.attributes().get<std::int64_t>("axis") == 1;
}

/// The crossentropy of softmax(x + b): both values at once, from the same stable pass.
Replacement crossentropy_of_softmax(Match& match) {
  const Variable& p = match.input(0);
  const Node* softmax = node_of(p, &softmax_op());
  if (softmax == nullptr || !along_rows(*softmax))
    return match.refuse("the probabilities are no softmax along the rows of a matrix");
  const Variable& activation = softmax->input(0);
  Biased parts;
  if (std::optional<Biased> biased = take_bias(match, activation)) {
    parts = *biased;
  } else {
    parts = {activation, zero_bias(activation)};
  }
  const Ref<Node> both =
      make_node(crossentropy_softmax_1hot_with_bias_op(), {parts.x, parts.bias, match.input(1)});
  match.also_replace(p, both->output(1));
  return both->output(0);
}

/// The values of a softmax along rows.
bool is_softmax(const Variable& p) {
  if (const Node* softmax = node_of(p, &softmax_op())) return along_rows(*softmax);
  return node_of(p, &softmax_with_bias_op()) != nullptr ||
         (node_of(p, &crossentropy_softmax_1hot_with_bias_op()) != nullptr && p.output_index() == 1);
}

Replacement gradient_of_crossentropy(Match& match) {
  const Variable& s = match.input(1);
  const Node* inner = node_of(match.input(0), &crossentropy_categorical_1hot_grad_op());
  if (inner == nullptr || !(inner->input(1) == s) || !is_softmax(s))
    return match.refuse("it is not the gradient of a cross-entropy of this softmax");
  return apply_op(crossentropy_softmax_1hot_with_bias_dx_op(), {inner->input(0), s, inner->input(2)});
}

Replacement bias_into_softmax(Match& match) {
  if (!along_rows(match.node())) return match.refuse("the softmax is not along the rows of a matrix");
  const std::optional<Biased> biased = take_bias(match, match.input(0));
  if (!biased) return match.refuse("the operand of softmax is no sum with a bias row that nobody else uses");
  return apply_op(softmax_with_bias_op(), {biased->x, biased->bias});
}

}  // namespace

const RuleSet& softmax_rules() {
  static const RuleSet rules = {
      rule("softmax_from_exps", Roots("true_div"), softmax_from_exps).tagged("stabilize"),
      rule("softmax_of_shifted", Roots({"softmax", "log_softmax"}), softmax_of_shifted).assumes_finite(),
      rule("log_of_softmax", log(softmax(x, axis)), log_softmax(x, axis)).tagged("stabilize"),
      rule("crossentropy_of_softmax", Roots("crossentropy_categorical_1hot"), crossentropy_of_softmax)
          .tagged("stabilize")
          .tagged("xent"),
      rule("gradient_of_crossentropy", Roots("softmax_grad"), gradient_of_crossentropy)
          .tagged("stabilize")
          .tagged("xent"),
  };
  return rules;
}

const RuleSet& bias_rules() {
  static const RuleSet rules = {
      rule("bias_into_softmax", Roots("softmax"), bias_into_softmax),
  };
  return rules;
}

}  // namespace croton
