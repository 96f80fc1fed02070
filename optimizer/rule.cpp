#include "croton/optimizer/rule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "croton/graph/error.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"

namespace croton {

std::string_view to_string(Exactness exactness) {
  switch (exactness) {
    case Exactness::exact:
      return "exact";
    case Exactness::assumes_finite:
      return "assumes_finite";
    case Exactness::reassociates:
      return "reassociates";
  }
  return "";
}

Roots::Roots(std::initializer_list<const char*> names) {
  std::vector<const Op*> ops;
  for (const char* name : names) {
    ops.push_back(find_op(name));
    if (ops.back() == nullptr) {
      throw InternalError(std::string("a rule names the op '") + name + "', which does not exist");
    }
  }
  holds_ = [ops](const Op& op) { return std::ranges::find(ops, &op) != ops.end(); };
}

const Roots& elementwise_roots() {
  static const Roots roots([](const Op& op) { return as_elementwise(op) != nullptr; });
  return roots;
}

const Roots& reduction_roots() {
  static const Roots roots([](const Op& op) { return as_reduce(op) != nullptr; });
  return roots;
}

const Roots& all_roots() {
  static const Roots roots([](const Op&) { return true; });
  return roots;
}

Rule::Rule(std::string name, std::optional<pattern::Pattern> left, std::optional<pattern::Pattern> right,
           Roots roots, Build build)
    : name_(std::move(name)),
      left_(std::move(left)),
      right_(std::move(right)),
      roots_(std::move(roots)),
      build_(std::move(build)) {}

Rule Rule::when(Condition condition) && {
  conditions_.push_back(std::move(condition));
  return std::move(*this);
}

Rule Rule::consuming() && {
  consuming_ = true;
  return std::move(*this);
}

Rule Rule::tagged(std::string_view tag) && {
  tags_.emplace_back(tag);
  return std::move(*this);
}

Rule Rule::of(Exactness exactness) && {
  exactness_ = exactness;
  tags_.front() = to_string(exactness);
  return std::move(*this);
}

Rule Rule::opt_in() && {
  opt_in_ = true;
  return std::move(*this);
}

Rule Rule::on(double low, double high) && {
  low_ = low;
  high_ = high;
  return std::move(*this);
}

bool Rule::may_match(const Node& node) const {
  if (!left_) return true;
  const pattern::PatternNode& wanted = **left_;
  const auto fits = [](const pattern::PatternNode& child, const Variable& operand) {
    switch (child.kind) {
      case pattern::PatternNode::Kind::variable:
        return true;
      case pattern::PatternNode::Kind::constant:
      case pattern::PatternNode::Kind::literal:
        return operand.is_constant();
      case pattern::PatternNode::Kind::apply:
        return operand.node()->is_apply() && &operand.node()->op() == child.op;
    }
    return true;
  };
  for (std::size_t i = 0; i < wanted.children.size(); ++i) {
    const pattern::PatternNode& child = *wanted.children[i];
    if (child.kind == pattern::PatternNode::Kind::variable) continue;
    if (wanted.commutative) {
      if (!std::ranges::any_of(node.inputs(),
                               [&](const Variable& operand) { return fits(child, operand); })) {
        return false;
      }
    } else if (i >= node.input_count() || !fits(child, node.input(i))) {
      return false;
    }
  }
  return true;
}

Replacement Rule::apply(Match& match) const {
  if (left_ && !match.matches(*left_)) return {};
  if (consuming_) {
    for (const Node* node : match.inner()) {
      if (!match.sole_use(node->output())) return {};
    }
  }
  for (const Condition& condition : conditions_) {
    if (!condition.holds(match)) return {};
  }
  if (!right_) return build_(match);
  return fit(match.build(*right_), match.node().type(), match.node().inputs());
}

Rule rule(std::string name, const pattern::Pattern& left, const pattern::Pattern& right) {
  const Op* root = left->op;
  return Rule(std::move(name), left, right, Roots([root](const Op& op) { return &op == root; }), nullptr);
}

Rule rule(std::string name, const pattern::Pattern& left, Rule::Build build) {
  const Op* root = left->op;
  return Rule(std::move(name), left, std::nullopt, Roots([root](const Op& op) { return &op == root; }),
              std::move(build));
}

Rule rule(std::string name, const Roots& roots, Rule::Build build) {
  return Rule(std::move(name), std::nullopt, std::nullopt, roots, std::move(build));
}

Rule::Condition floating(const pattern::Pattern& wildcard) {
  return {[wildcard](const Match& match) { return is_floating(match[wildcard].dtype()); },
          to_string(wildcard) + " must be floating"};
}

Rule::Condition discrete(const pattern::Pattern& wildcard) {
  return {[wildcard](const Match& match) { return is_discrete(match[wildcard].dtype()); },
          to_string(wildcard) + " must be an integer or bool"};
}

Rule::Condition nonzero(const pattern::Pattern& constant) {
  return {[constant](const Match& match) {
            const double value = match.value(constant);
            return value != 0 && std::isfinite(value);
          },
          to_string(constant) + " must be a finite number other than 0"};
}

}  // namespace croton
