#include <fmt/format.h>

#include <array>

#include "croton/optimizer/pattern.h"

namespace croton::pattern {

namespace {

/// Operators as they are written; other ops are calls.
struct Operator {
  std::string_view op, sign;
};
constexpr Operator operators[] = {
    {"add", "+"}, {"sub", "-"},  {"mul", "*"},  {"true_div", "/"}, {"floor_div", "//"},
    {"mod", "%"}, {"pow", "**"}, {"lt", "<"},   {"le", "<="},      {"gt", ">"},
    {"ge", ">="}, {"eq", "=="},  {"neq", "!="},
};

constexpr std::array<const char*, max_slots> wildcards = {"x", "y", "z", "w", "c", "d", "u", "v"};

}  // namespace

std::string to_string(const Pattern& pattern) {
  switch (pattern->kind) {
    case PatternNode::Kind::variable:
    case PatternNode::Kind::constant:
      return wildcards[static_cast<std::size_t>(pattern->slot)];
    case PatternNode::Kind::literal:
      return fmt::format("{}", pattern->literal);
    case PatternNode::Kind::apply:
      break;
  }
  const std::string& name = pattern->op->name();
  const auto& children = pattern->children;
  for (const Operator& sign : operators) {
    if (sign.op == name && children.size() == 2)
      return fmt::format("({} {} {})", to_string(children[0]), sign.sign, to_string(children[1]));
  }
  std::string operands;
  for (const Pattern& child : children) operands += (operands.empty() ? "" : ", ") + to_string(child);
  return name + "(" + operands + ")";
}

}  // namespace croton::pattern
