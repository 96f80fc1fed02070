#include <algorithm>
#include <optional>

#include "croton/ops/blas.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

constexpr std::size_t most_summands = 32;  // that are looked at together

bool is_linear_product(const Node& node) {
  const Op& op = node.op();
  return (&op == &dot22_op() || &op == &dot22_scalar_op() || &op == &dot_op()) && !has_relu(node);
}

/// A scalar factor: a number times 0-d variables.
struct Factor {
  double number = 1;
  std::vector<Variable> scalars;

  bool take(const Variable& v) {
    if (const std::optional<double> value = uniform_value(v); value && is_all_ones(v.type())) {
      number *= *value;
      return true;
    }
    if (!is_all_ones(v.type())) return false;
    scalars.push_back(dimshuffle(v, {}));
    return true;
  }
  bool is(double value) const { return scalars.empty() && number == value; }
  Variable variable(DType dtype) const {
    if (scalars.empty()) return uniform_constant(number, dtype, 0);
    Variable product = scalars.size() == 1 ? scalars[0] : elementwise("mul", scalars);
    if (number == 1) return product;
    if (number == -1) return elementwise("neg", {product});
    return elementwise("mul", {uniform_constant(number, dtype, 0), product});
  }
};

/// One summand: factor * v.
struct Term {
  Variable v;
  Factor factor;
};

/// Takes scalar factors and signs off a summand.
Term strip(const Match& match, Term term) {
  for (;;) {
    const Node& node = *term.v.node();
    if (!node.is_apply() || !match.sole_use(term.v)) return term;
    if (node.op().name() == "neg") {
      term.factor.number = -term.factor.number;
      term.v = node.input(0);
      continue;
    }
    if (node.op().name() != "mul") return term;
    Factor factor = term.factor;
    Variable rest;
    for (const Variable& input : node.inputs()) {
      if (factor.take(input)) continue;
      if (rest) return term;  // two matrices: an elementwise product
      rest = input;
    }
    if (!rest || !same_broadcast(rest.type(), term.v.type())) return term;
    term.factor = std::move(factor);
    term.v = rest;
  }
}

/// The summands of a tree of sums that nobody else uses, scalar factors multiplied in: a (b + c) gives a b
/// and a c. Multiples of one variable by numbers become one.
bool summands(const Match& match, std::vector<Term>& terms) {
  std::vector<Term> stack;
  const auto expand = [&](const Node& node, const Factor& factor) {
    const std::string& name = node.op().name();
    if (name != "add" && name != "sub") return false;
    for (std::size_t i = node.input_count(); i-- > 0;) {
      Term term{node.input(i), factor};
      if (name == "sub" && i == 1) term.factor.number = -term.factor.number;
      stack.push_back(std::move(term));
    }
    return true;
  };
  if (match.node().input_count() > most_summands) return false;
  expand(match.node(), Factor());
  while (!stack.empty()) {
    Term term = strip(match, std::move(stack.back()));
    stack.pop_back();
    if (term.v.node()->is_apply() && match.sole_use(term.v) &&
        same_broadcast(term.v.type(), match.node().type()) &&
        terms.size() + stack.size() + term.v.node()->input_count() <= most_summands &&
        expand(*term.v.node(), term.factor)) {
      continue;
    }
    const auto like = std::ranges::find_if(terms, [&](const Term& other) {
      return other.v == term.v && other.factor.scalars.empty() && term.factor.scalars.empty();
    });
    if (like != terms.end()) {
      like->factor.number += term.factor.number;
    } else {
      terms.push_back(std::move(term));
    }
  }
  return terms.size() >= 2;
}

/// A matrix product among the summands that nobody else uses; its own scalar goes into the factor.
bool is_product(const Match& match, Term& term) {
  const Node& node = *term.v.node();
  if (!node.is_apply() || !is_linear_product(node) || !match.sole_use(term.v)) return false;
  if (&node.op() == &dot22_scalar_op()) {
    if (!term.factor.take(node.input(2))) return false;
    term.v = apply_op(dot22_op(), {node.input(0), node.input(1)});
  }
  return true;
}

/// factor * v as it stands in a sum.
Variable scaled(const Term& term) {
  if (term.factor.is(1)) return term.v;
  if (term.factor.is(-1)) return elementwise("neg", {term.v});
  const Variable factor = term.factor.variable(term.v.dtype());
  return elementwise("mul", {pad_left(factor, term.v.rank()), term.v});
}

/// The summands but one, as one term of the whole shape.
std::optional<Term> rest_of(const std::vector<Term>& terms, std::size_t without, const TensorType& type) {
  Term rest;
  if (terms.size() == 2) {
    rest = terms[1 - without];
  } else {
    std::vector<Variable> plus, minus;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      if (i == without) continue;
      if (terms[i].factor.is(-1)) {
        minus.push_back(terms[i].v);
      } else {
        plus.push_back(scaled(terms[i]));
      }
    }
    const auto join = [](const std::vector<Variable>& v) {
      return v.size() == 1 ? v[0] : elementwise("add", v);
    };
    if (plus.empty()) {
      rest = {join(minus), {}};
      rest.factor.number = -1;
    } else {
      rest = {minus.empty() ? join(plus) : elementwise("sub", {join(plus), join(minus)}), {}};
    }
  }
  if (!same_broadcast(rest.v.type(), type)) return std::nullopt;
  return rest;
}

/// A sum inside a larger one is taken apart from there; a scalar factor may stand between.
bool is_part_of_sum(const Match& match) {
  const Node* node = &match.node();
  for (int step = 0; step < 3 && match.sole_use(node->output()) && !node->uses().empty(); ++step) {
    node = node->uses()[0].node;
    const std::string& name = node->op().name();
    if (name == "add" || name == "sub") {
      return same_broadcast(node->type(), match.node().type()) &&
             node->input_count() + match.node().input_count() <= most_summands;
    }
    if (name == "neg") continue;
    if (name != "mul" || node->input_count() != 2) return false;
    if (!is_all_ones(node->input(0).type()) && !is_all_ones(node->input(1).type())) return false;
  }
  return false;
}

/// b * z + a * x @ y, for matrices and for a matrix with a vector.
Replacement accumulate_product(Match& match) {
  const TensorType& type = match.node().type();
  if (!is_floating(type.dtype) || type.rank() < 1 || type.rank() > 2)
    return match.refuse("the sum is no floating vector or matrix");
  if (is_part_of_sum(match))
    return match.refuse("the sum is part of a larger one, which is looked at as a whole");
  std::vector<Term> terms;
  if (!summands(match, terms))
    return match.refuse("the sum has fewer than two summands, or more than are looked at together");
  for (std::size_t i = 0; i < terms.size(); ++i) {
    Term product = terms[i];
    if (!is_product(match, product) || !same_broadcast(product.v.type(), type)) continue;
    const std::optional<Term> rest = rest_of(terms, i, type);
    if (!rest) continue;
    const Variable alpha = product.factor.variable(type.dtype), beta = rest->factor.variable(type.dtype);
    Variable x = product.v.node()->input(0), y = product.v.node()->input(1);
    if (x.rank() == 2 && y.rank() == 2) return apply_op(gemm_op(), {rest->v, alpha, x, y, beta});
    if (x.rank() == 1 && y.rank() == 2) {
      std::swap(x, y);
      x = dimshuffle(x, transposition);
    }
    if (x.rank() == 2 && y.rank() == 1) return apply_op(gemv_op(), {rest->v, alpha, x, y, beta});
  }
  return match.refuse("no summand is a matrix product that nobody else uses, times a scalar");
}

Replacement dot_to_dot22(Match& match) {
  const Variable &x = match.input(0), &y = match.input(1);
  if (x.rank() != 2 || y.rank() != 2 || !is_floating(x.dtype()))
    return match.refuse("the operands are not two floating matrices");
  return apply_op(dot22_op(), {x, y});
}

/// s * dot22(x, y) with a scalar s.
Replacement scaled_product(Match& match) {
  const Node& node = match.node();
  if (node.type().rank() != 2 || match.graph().client_count(match.output()) == 0)
    return match.refuse("the product is no matrix, or nobody uses it");
  Factor factor;
  Variable rest;
  for (const Variable& input : node.inputs()) {
    if (factor.take(input)) continue;
    if (rest) return match.refuse("two factors are no scalars: it is an elementwise product");
    rest = input;
  }
  if (!rest || !match.sole_use(rest)) return match.refuse("somebody else uses the matrix product, too");
  const Node* product = node_of(rest, &dot22_op());
  if (product == nullptr) product = node_of(rest, &dot22_scalar_op());
  if (product == nullptr || has_relu(*product) || !same_broadcast(rest.type(), node.type()))
    return match.refuse("no factor is a matrix product");
  if (&product->op() == &dot22_scalar_op() && !factor.take(product->input(2)))
    return match.refuse("the factor of the product inside is no scalar");
  return apply_op(dot22_scalar_op(),
                  {product->input(0), product->input(1), factor.variable(node.type().dtype)});
}

/// gemm with a column and a row is a rank-1 update.
Replacement gemm_to_ger(Match& match) {
  const Node& node = match.node();
  const Variable &x = node.input(2), &y = node.input(3);
  const std::optional<double> beta = uniform_value(node.input(4));
  if (!x.type().broadcastable(1) || !y.type().broadcastable(0) || !beta || *beta != 1 || has_relu(node))
    return match.refuse("it is no product of a column with a row, added to all of z");
  return apply_op(ger_op(), {node.input(0), node.input(1), dimshuffle(x, {0}), dimshuffle(y, {1})});
}

/// A product with a vector is one with a matrix of one column; of two vectors, a sum of products.
Replacement vector_product(Match& match) {
  const Variable &x = match.input(0), &y = match.input(1);
  if (!is_floating(x.dtype())) return match.refuse("the operands are not floating");
  if (x.rank() == 1 && y.rank() == 1) {
    return reduction(*find_reduce("sum"), elementwise("mul", {x, y}), {0});
  }
  if (x.rank() == 2 && y.rank() == 1) {
    return dimshuffle(apply_op(dot22_op(), {x, dimshuffle(y, {0, -1})}), {0});
  }
  if (x.rank() == 1 && y.rank() == 2) {
    return dimshuffle(apply_op(dot22_op(), {dimshuffle(x, {-1, 0}), y}), {1});
  }
  return match.refuse("both operands are matrices");
}

}  // namespace

const RuleSet& blas_rules() {
  static const RuleSet rules = {
      rule("dot_to_dot22", Roots("dot"), dot_to_dot22),
      rule("accumulate_product", Roots({"add", "sub"}), accumulate_product).reassociates(),
      rule("gemm_to_ger", Roots("gemm"), gemm_to_ger).reassociates(),
  };
  return rules;
}

const RuleSet& product_rules() {
  static const RuleSet rules = {
      rule("scaled_product", Roots("mul"), scaled_product).reassociates(),
      rule("product_with_vector", Roots("dot"), vector_product).reassociates(),
  };
  return rules;
}

}  // namespace croton
