#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "croton/ops/elementwise.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

using namespace pattern;

constexpr std::size_t most_terms = 32;  // of one sum or product: keeps every step bounded

/// A sum or product taken apart: terms and their opposites (subtracted, divided by), constants gathered.
struct Terms {
  std::vector<Variable> plus;
  std::vector<Variable> minus;
  double constant;
  int constants = 0;  // how many were gathered
  bool negative = false;
};

struct Family {
  std::string_view join, part, opposite;  // add, sub, neg; mul, true_div, reciprocal
  double neutral;
};
const Family sums{"add", "sub", "neg", 0};
const Family products{"mul", "true_div", "reciprocal", 1};

/// Takes the tree above `node` apart as far as nobody else uses its inner nodes. False when it is too large.
bool take_apart(const Match& match, const Family& family, Terms& terms) {
  struct Item {
    Variable v;
    bool opposite;
  };
  std::vector<Item> stack;
  const auto expand = [&](const Node& node, bool opposite) {
    const std::string& name = node.op().name();
    if (name == family.join) {
      for (std::size_t i = node.input_count(); i-- > 0;) stack.push_back({node.input(i), opposite});
    } else if (name == family.part) {
      stack.push_back({node.input(1), !opposite});
      stack.push_back({node.input(0), opposite});
    } else if (name == family.opposite) {
      stack.push_back({node.input(0), !opposite});
    } else if (family.neutral == 1 && name == "neg") {
      terms.negative = !terms.negative;
      stack.push_back({node.input(0), opposite});
    } else {
      return false;
    }
    return true;
  };
  terms.constant = family.neutral;
  if (!expand(match.node(), false)) return false;
  while (!stack.empty()) {
    const Item item = stack.back();
    stack.pop_back();
    if (item.v.dtype() == match.node().type().dtype && item.v.node()->is_apply() && match.sole_use(item.v) &&
        expand(*item.v.node(), item.opposite)) {
      continue;
    }
    if (const std::optional<double> value = uniform_value(item.v); value && is_all_ones(item.v.type())) {
      ++terms.constants;
      if (family.neutral == 0) {
        terms.constant += item.opposite ? -*value : *value;
      } else {
        terms.constant = item.opposite ? terms.constant / *value : terms.constant * *value;
      }
      continue;
    }
    (item.opposite ? terms.minus : terms.plus).push_back(item.v);
    if (terms.plus.size() + terms.minus.size() > most_terms) return false;
  }
  return true;
}

/// Drops what occurs on both sides. Answers whether anything did.
bool cancel(Terms& terms) {
  std::unordered_map<Variable, std::vector<std::size_t>> where;
  for (std::size_t i = 0; i < terms.minus.size(); ++i) where[terms.minus[i]].push_back(i);
  std::vector<bool> dropped(terms.minus.size(), false);
  std::vector<Variable> plus;
  for (const Variable& v : terms.plus) {
    const auto entry = where.find(v);
    if (entry == where.end() || entry->second.empty()) {
      plus.push_back(v);
      continue;
    }
    dropped[entry->second.back()] = true;
    entry->second.pop_back();
  }
  if (plus.size() == terms.plus.size()) return false;
  std::vector<Variable> minus;
  for (std::size_t i = 0; i < terms.minus.size(); ++i) {
    if (!dropped[i]) minus.push_back(terms.minus[i]);
  }
  terms.plus = std::move(plus);
  terms.minus = std::move(minus);
  return true;
}

Variable join(const Family& family, const std::vector<Variable>& terms) {
  return terms.size() == 1 ? terms[0] : elementwise(family.join, terms);
}

Variable put_together(const Family& family, Terms terms, DType dtype, int rank) {
  if (family.neutral == 1 && terms.negative) terms.constant = -terms.constant;
  const bool negate = family.neutral == 1 && terms.constant == -1;
  if (negate) terms.constant = 1;
  if (terms.constant != family.neutral || (terms.plus.empty() && terms.minus.empty())) {
    // A constant factor stands in front, a constant summand behind.
    const Variable value = uniform_constant(terms.constant, dtype, rank);
    terms.plus.insert(family.neutral == 1 ? terms.plus.begin() : terms.plus.end(), value);
  }
  Variable result;
  if (terms.minus.empty()) {
    result = join(family, terms.plus);
  } else if (terms.plus.empty()) {
    result = elementwise(family.opposite, {join(family, terms.minus)});
  } else {
    result = elementwise(family.part, {join(family, terms.plus), join(family, terms.minus)});
  }
  return negate ? elementwise("neg", {result}) : result;
}

Replacement simplify(Match& match, const Family& family) {
  const Node& node = match.node();
  const DType dtype = node.type().dtype;
  if (is_bool(dtype) || (family.neutral == 1 && !is_floating(dtype) && node.op().name() != "mul"))
    return match.refuse("the dtype has no such arithmetic");
  Terms terms;
  if (!take_apart(match, family, terms)) return match.refuse("there are no terms to take apart");
  const bool cancelled = cancel(terms);
  if (!cancelled && terms.constants < 2)
    return match.refuse("nothing cancels and there is at most one constant");
  // A constant that the dtype does not hold stays as the user wrote it.
  const double limit = dtype == DType::float64 ? 1e300 : dtype == DType::float16 ? 6e4 : 1e38;
  const bool fits =
      is_floating(dtype)
          ? std::abs(terms.constant) < limit && (terms.constant == 0 || std::abs(terms.constant) > 1 / limit)
          : std::abs(terms.constant) < 1e9 && terms.constant == std::floor(terms.constant);
  if (!fits) return match.refuse("the constants do not fit together without loss");
  return fit(put_together(family, std::move(terms), dtype, node.type().rank()), node.type(), node.inputs());
}

/// add(add(a, b), c) = add(a, b, c). Done once at the top of a tree, so that long chains stay cheap.
Replacement flatten_nested(Match& match) {
  const Node& node = match.node();
  const auto absorbs = [&](const Variable& v, const Op& op) {
    return node_of(v, &op) != nullptr && match.sole_use(v);
  };
  bool any = false;
  for (const Variable& input : node.inputs()) any = any || absorbs(input, node.op());
  if (!any || node.input_count() >= most_terms)
    return match.refuse(
        "no operand is a sum or product of the same kind that nobody else uses, or there are too many");
  std::vector<Variable> terms(node.inputs().begin(), node.inputs().end());
  // Level by level, as long as there is room.
  for (bool grown = true; grown;) {
    grown = false;
    std::vector<Variable> next;
    std::size_t total = terms.size();
    for (const Variable& term : terms) {
      const std::size_t more = absorbs(term, node.op()) ? term.node()->input_count() - 1 : 0;
      if (more != 0 && total + more <= most_terms) {
        for (const Variable& input : term.node()->inputs()) next.push_back(input);
        total += more;
        grown = true;
      } else {
        next.push_back(term);
      }
    }
    terms = std::move(next);
  }
  if (terms.size() == node.input_count()) return match.refuse("no operand could be taken apart");
  return apply_op(node.op(), std::move(terms), node.attributes());
}

/// f(a, b) and f(b, a) become one node: that which was made first.
Replacement same_in_other_order(Match& match) {
  constexpr std::size_t most_clients = 16;
  const Node& node = match.node();
  const ElementwiseOp* op = as_elementwise(node.op());
  if (!op->row().has(ElementwiseTrait::commutative) || node.input_count() < 2)
    return match.refuse("the op does not commute");
  const auto uses = [&](std::size_t i) { return node.input(i).node()->uses(node.input(i).output_index()); };
  std::size_t rarest = 0;
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    if (uses(i).size() < uses(rarest).size()) rarest = i;
  }
  if (uses(rarest).size() > most_clients) return match.refuse("the operands have too many users to look at");
  for (const Use& use : uses(rarest)) {
    const Node& other = *use.node;
    if (&other == &node || &other.op() != &node.op() || other.id() > node.id() ||
        other.input_count() != node.input_count()) {
      continue;
    }
    if (std::ranges::is_permutation(other.inputs(), node.inputs())) return other.output();
  }
  return match.refuse("no other node has the same operands in another order");
}

bool is_sum(const Op& op) { return op.name() == "add" || op.name() == "sub"; }
bool is_product(const Op& op) { return op.name() == "mul" || op.name() == "true_div"; }

}  // namespace

const RuleSet& arithmetic_rules() {
  static const RuleSet rules = {
      rule("commuted", elementwise_roots(), same_in_other_order),
      rule("flatten_sum", Roots("add"), flatten_nested).reassociates(),
      rule("flatten_product", Roots("mul"), flatten_nested).reassociates(),
      rule("cancel_terms", Roots(is_sum), [](Match& m) { return simplify(m, sums); }).assumes_finite(),
      rule("cancel_factors", Roots(is_product), [](Match& m) { return simplify(m, products); })
          .assumes_finite(),
  };
  return rules;
}

}  // namespace croton
