// croton lint: what in a graph is probably not what its author wanted.

#include <fmt/format.h>

#include <memory>

#include <croton/optimizer/lint.h>

#include "command.h"
#include "graph_source.h"

namespace {

std::string indented(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == '\n') result += "    ";
  }
  while (!result.empty() && (result.back() == ' ' || result.back() == '\n')) result.pop_back();
  return result;
}

/// Prints the findings; answers how many there are.
std::size_t print_findings(const GraphSource& source) {
  const croton::TextGraph built = read_graph(source, "lint");
  const auto as_built = optimized_graph(built, "", Stage::built);
  const auto general = optimized_graph(built, "", Stage::general);
  const auto typed = optimized_graph(built, source.shapes, Stage::general);
  const auto specialised = optimized_graph(built, source.shapes, Stage::specialised);
  const FlagsForDevice flags = flags_for_device();
  const auto findings =
      croton::lint({*as_built, *general, *typed, *specialised}, flags.query, flags.options.device);
  for (const croton::LintFinding& finding : findings) {
    fmt::print("{}{}: {}\n    instead: {}\n", finding.where.empty() ? "" : finding.where + ": ", finding.kind,
               indented(finding.what), finding.advice);
  }
  fmt::print("{} {}\n", findings.size(), findings.size() == 1 ? "finding" : "findings");
  return findings.size();
}

}  // namespace

void add_lint_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("lint",
                                         "Look for float64 by accident, broadcasting that never happens, "
                                         "unstable expressions, poor convolutions, "
                                         "transfers. Exit code 1 where something is found.");
  auto source = std::make_shared<GraphSource>();
  add_graph_options(*command, *source);
  add_flags_option(*command);
  command->callback([source] {
    if (print_findings(*source) > 0) throw CLI::RuntimeError(1);
  });
}
