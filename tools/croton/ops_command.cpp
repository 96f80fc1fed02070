// croton ops: the functions of expressions and the ops of graphs.

#include <fmt/format.h>

#include <memory>

#include <croton/ops/expression.h>
#include <croton/ops/op_reference.h>

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

std::string markdown() {
  std::string text =
      croton::ops_markdown() +
      "\n## Functions of expressions\n\nWhat `croton eval` and `croton debugprint` may call; C++ has "
      "them under the same names.\n\n| function | what it computes |\n|---|---|\n";
  for (const croton::ExpressionFunctionInfo& f : croton::expression_functions())
    text += fmt::format("| `{}` | {} |\n", cell(f.signature), cell(f.doc));
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
  command->add_flag("--markdown", *page,
                    "The page of the reference: ops of graphs, functions of expressions");
  command->callback([page] { fmt::print("{}", *page ? markdown() : listing()); });
}
