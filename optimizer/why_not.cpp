#include <fmt/format.h>

#include "croton/graph/debugprint.h"
#include "croton/graph/op.h"
#include "croton/graph/text.h"
#include "croton/optimizer/rewrite_view.h"
#include "croton/optimizer/rule.h"

namespace croton {

namespace {

using pattern::Pattern;
using pattern::PatternNode;
using Kind = PatternNode::Kind;

std::string shown(const Variable& v) {
  if (!v.name().empty()) return v.name();
  return v.node()->is_leaf() ? leaf_text(v) : spell_node(v);
}

bool fits_at_all(const PatternNode& wanted, const Variable& v) {
  switch (wanted.kind) {
    case Kind::variable:
      return true;
    case Kind::constant:
      return uniform_value(v).has_value();
    case Kind::literal:
      return uniform_value(v) == std::optional(wanted.literal);
    case Kind::apply:
      return v.node()->is_apply() && &v.node()->op() == wanted.op && v.output_index() == 0;
  }
  return false;
}

std::string expectation(const Pattern& wanted) {
  switch (wanted->kind) {
    case Kind::constant:
      return "a constant of one value";
    case Kind::literal:
      return "the constant " + to_string(wanted);
    default:
      return to_string(wanted);
  }
}

/// Where a node of the right op first departs from the pattern; nothing where each part fits by itself.
std::optional<std::string> departure(const Pattern& wanted, const Node& node) {
  const auto& children = wanted->children;
  const std::string here = spell_node(const_cast<Node&>(node).output());
  if (wanted->variadic ? node.input_count() < children.size() : node.input_count() != children.size())
    return fmt::format("{} has {} operands, the pattern {} has {}", here, node.input_count(),
                       to_string(wanted), children.size());
  for (const auto& [name, value] : wanted->attributes) {
    const auto* fixed = std::get_if<AttributeValue>(&value);
    const AttributeValue* present = node.attributes().find(name);
    if (present == nullptr || (fixed != nullptr && !(*fixed == *present)))
      return fmt::format("{} has {} = {}, the pattern wants {}", here, name,
                         present == nullptr ? "nothing" : to_string(*present),
                         fixed == nullptr ? "a value" : to_string(*fixed));
  }
  for (std::size_t i = 0; i < children.size(); ++i) {
    const Pattern& child = children[i];
    if (child->kind == Kind::variable) continue;
    const Variable* fitting = nullptr;
    if (!wanted->commutative) {
      if (!fits_at_all(*child, node.input(i)))
        return fmt::format("operand {} of {} is {}, the pattern {} wants {} there", i, here,
                           shown(node.input(i)), to_string(wanted), expectation(child));
      fitting = &node.input(i);
    } else {
      for (const Variable& input : node.inputs()) {
        if (fitting == nullptr && fits_at_all(*child, input)) fitting = &input;
      }
      if (fitting == nullptr)
        return fmt::format("no operand of {} is {}, as the pattern {} wants", here, expectation(child),
                           to_string(wanted));
    }
    if (child->kind != Kind::apply) continue;
    if (auto deeper = departure(child, *fitting->node())) return deeper;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> Rule::why_not(const FunctionGraph& graph, Node& node) const {
  if (!may_apply_to(node.op())) {
    const std::string looks_for = left_ ? "it looks for " + to_string(*left_) : "it looks at other ops";
    return fmt::format("{}, the node is {}", looks_for, node_label(node));
  }
  Match match(graph, node);
  if (left_ && !match.matches(*left_)) {
    if (auto text = departure(*left_, node)) return text;
    return fmt::format(
        "each part of the pattern {} fits, but a wildcard would have to stand for two different variables",
        to_string(*left_));
  }
  if (consuming_) {
    for (const Node* inner : match.inner()) {
      const Variable value = const_cast<Node*>(inner)->output();
      if (match.sole_use(value)) continue;
      return fmt::format("{} is used {} times: the rule would compute it again instead of replacing it",
                         shown(value), graph.client_count(value));
    }
  }
  for (const Condition& condition : conditions_) {
    if (!condition.holds(match)) return condition.text;
  }
  const LocationScope scope(node.where());
  const Replacement replacement =
      right_ ? Replacement(fit(match.build(*right_), node.type(), node.inputs())) : build_(match);
  if (!replacement.empty()) {
    for (std::size_t i = 0; i < replacement.outputs().size(); ++i) {
      const Variable& made = replacement.outputs()[i];
      if (made && !(made == node.output(i))) return std::nullopt;
    }
    if (match.more().empty()) return "it would put there what is there already";
    return std::nullopt;
  }
  if (match.refusal() != nullptr) return std::string(match.refusal());
  if (right_) return "what it would put there has another dtype, rank or broadcasting than the node";
  return left_ ? fmt::format("the pattern {} fits, but what the rule then looks at in the operands does not",
                             to_string(*left_))
               : "it looks at this op, but not with these operands (it has no pattern; the code decides)";
}

}  // namespace croton
