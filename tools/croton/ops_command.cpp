// croton ops: the functions of expressions and the ops of graphs.

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "command.h"

namespace {

/// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

std::string traits_of(const croton::ElementwiseRow& row) {
  static constexpr std::pair<croton::ElementwiseTrait, std::string_view> names[] = {
      {croton::commutative, "commutative"}, {croton::associative, "associative"},
      {croton::idempotent, "idempotent"},   {croton::involution, "involution"},
      {croton::increasing, "increasing"},   {croton::even_function, "even"},
      {croton::odd_function, "odd"},        {croton::zero_gradient, "piecewise constant"}};
  std::string text;
  for (const auto& [trait, name] : names) {
    if (row.has(trait)) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  }
  return text;
}

std::string_view rule_of(const croton::ElementwiseRow& row) {
  switch (row.rule) {
    case croton::DTypeRule::same:
      return "as the inputs";
    case croton::DTypeRule::number:
      return "as the inputs; bool gives int8";
    case croton::DTypeRule::no_bool:
      return "as the inputs; no bool";
    case croton::DTypeRule::floating:
      return "floating; integers become floatX";
    case croton::DTypeRule::predicate:
      return "bool";
    case croton::DTypeRule::bitwise:
      return "bool or integer";
    case croton::DTypeRule::shift:
      return "integer";
    case croton::DTypeRule::select:
      return "as the second and third";
    case croton::DTypeRule::second:
      return "as the second";
    case croton::DTypeRule::cast:
      return "the attribute dtype";
  }
  return "";
}

std::string markdown() {
  std::string text =
      "# Functions and ops\n\nWritten by `croton ops --markdown`.\n\n## Functions\n\nWhat expressions call "
      "(`croton eval -e`), and C++ under the same names.\n\n| Function | Meaning |\n|---|---|\n";
  for (const croton::ExpressionFunctionInfo& f : croton::expression_functions())
    text += fmt::format("| `{}` | {} |\n", f.signature, cell(f.doc));
  text +=
      "\n## Elementwise ops\n\nInputs broadcast along axes whose static extent is 1.\n\n"
      "| Op | Inputs | Result dtype | Traits | Gradient | Meaning |\n|---|---|---|---|---|---|\n";
  for (const croton::ElementwiseOp* op : croton::elementwise_ops()) {
    const croton::ElementwiseRow& row = op->row();
    text += fmt::format("| `{}` | {}{} | {} | {} | {} | {} |\n", row.name, row.arity,
                        row.variadic ? " or more" : "", rule_of(row), traits_of(row),
                        row.gradient != nullptr ? "yes" : "none", cell(row.doc));
  }
  text += "\n## Reductions\n\n| Op | Meaning |\n|---|---|\n";
  for (const croton::ReduceOp* op : croton::reduce_ops())
    text += fmt::format("| `{}` | {} |\n", op->row().name, cell(op->row().doc));
  text += "\n## All ops of graphs\n\nThe names in the text form.\n\n";
  for (const croton::Op* op : croton::all_ops()) text += fmt::format("- `{}`\n", op->name());
  return text;
}

std::string listing() {
  std::string text;
  for (const croton::ExpressionFunctionInfo& f : croton::expression_functions())
    text += fmt::format("{}\n    {}\n", f.signature, f.doc);
  return text;
}

}  // namespace

void add_ops_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("ops", "List the functions that expressions may call.");
  auto page = std::make_shared<bool>(false);
  command->add_flag("--markdown", *page, "The page of the reference: functions and ops");
  command->callback([page] { fmt::print("{}", *page ? markdown() : listing()); });
}
