
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

using namespace pattern;

/// log(sum(exp(x))) with the largest x taken out: log(sum(exp(x - m))) + m. An infinite m is not subtracted.
Replacement shift_by_maximum(Match& match) {
  const Variable& values = match[x];
  const auto& over = std::get<std::vector<std::int64_t>>(match.attribute(axes));
  for (std::int64_t axis : over) {
    // The maximum of nothing does not exist, but log(0) does.
    if (values.type().shape[static_cast<std::size_t>(axis)] < 1)
      return match.refuse("the sum may be over no elements: the maximum of nothing does not exist");
  }
  const int rank = values.rank() - static_cast<int>(over.size());
  const Variable largest = reduction(*find_reduce("max"), values, over);
  const Variable shift = elementwise(
      "switch", {elementwise("isinf", {largest}), uniform_constant(0, values.dtype(), rank), largest});
  const Variable shifted = elementwise("exp", {elementwise("sub", {values, restore_axes(shift, over)})});
  const Variable total = reduction(*find_reduce("sum"), shifted, over);
  return elementwise("add", {elementwise("log", {total}), shift});
}

bool is_shifted(const Match& match) { return node_of(match[x], "sub") != nullptr; }

}  // namespace

const RuleSet& stability_rules() {
  static const RuleSet rules = {
      // log1p and expm1 keep the digits that 1 + x loses
      rule("log1p_from_log", log(1 + x), log1p(x)).on(-0.9, 3).tagged("stabilize"),
      rule("log1p_from_difference", log(1 - x), log1p(neg(x))).on(-3, 0.9).tagged("stabilize"),
      rule("expm1_from_difference", exp(x) - 1, expm1(x)).tagged("stabilize"),
      rule("expm1_from_sum", exp(x) + -1, expm1(x)).tagged("stabilize"),
      rule("log_of_expm1", log1p(expm1(x)), x).assumes_finite().tagged("stabilize"),
      rule("expm1_of_log1p", expm1(log1p(x)), x).assumes_finite().on(-0.9, 3).tagged("stabilize"),

      // pairs that undo each other overflow in between
      rule("log_of_exp", log(exp(x)), x).assumes_finite().tagged("stabilize"),
      rule("exp_of_log", exp(log(x)), x).assumes_finite().on(0.1, 3),
      rule("log2_of_exp2", log2(exp2(x)), x).assumes_finite().tagged("stabilize"),
      rule("exp2_of_log2", exp2(log2(x)), x).assumes_finite().on(0.1, 3),
      rule("sqrt_of_sqr", sqrt(sqr(x)), abs(x)).assumes_finite().tagged("stabilize"),
      rule("sqr_of_sqrt", sqr(sqrt(x)), x).assumes_finite().on(0.1, 3),
      rule("tanh_of_arctanh", tanh(arctanh(x)), x).assumes_finite().on(-0.9, 0.9),
      rule("sinh_of_arcsinh", sinh(arcsinh(x)), x).assumes_finite(),

      // sigmoid and softplus
      rule("sigmoid_from_reciprocal", reciprocal(1 + exp(neg(x))), sigmoid(x)).tagged("stabilize"),
      rule("sigmoid_from_quotient", 1 / (1 + exp(neg(x))), sigmoid(x)).tagged("stabilize"),
      rule("sigmoid_of_neg_from_reciprocal", reciprocal(1 + exp(x)), sigmoid(neg(x))).tagged("stabilize"),
      rule("sigmoid_of_neg_from_quotient", 1 / (1 + exp(x)), sigmoid(neg(x))).tagged("stabilize"),
      rule("sigmoid_from_exps", exp(x) / (1 + exp(x)), sigmoid(x)).assumes_finite().tagged("stabilize"),
      rule("one_minus_sigmoid", 1 - sigmoid(x), sigmoid(neg(x))).reassociates().tagged("stabilize"),
      rule("log_of_sigmoid", log(sigmoid(x)), neg(softplus(neg(x)))).tagged("stabilize"),
      rule("log1p_of_minus_sigmoid", log1p(neg(sigmoid(x))), neg(softplus(x))).tagged("stabilize"),
      rule("softplus_from_log1p", log1p(exp(x)), softplus(x)).tagged("stabilize"),
      rule("exp_times_sigmoid_of_neg", exp(x) * sigmoid(neg(x)), sigmoid(x))
          .assumes_finite()
          .tagged("stabilize"),

      // sums of exponentials
      rule("logaddexp_from_exps", log(exp(x) + exp(y)), logaddexp(x, y)).tagged("stabilize"),
      rule("log_sum_exp", log(sum(exp(x), axes)), shift_by_maximum)
          .when({[](const Match& match) { return !is_shifted(match); },
                 "x must not be shifted by its maximum already"})
          .tagged("stabilize"),
      rule("product_of_exps", exp(x) * exp(y), exp(x + y)).reassociates().consuming(),
      rule("log_of_product_with_exp", log(exp(x) * y), x + log(y)).consuming().on(0.1, 3).tagged("stabilize"),
  };
  return rules;
}

}  // namespace croton
