// What the commands that take expressions have in common.

#include <croton/graph/flags.h>
#include <croton/ops/expression.h>

#include "command.h"

void add_flags_option(CLI::App& command) {
  command
      .add_option_function<std::string>(
          "--flags", [](const std::string& text) { croton::config().read_string(text); },
          "Flags for this run: floatX=float64,optimizer_excluding=fusion")
      ->option_text("NAME=VALUE,…");
}

std::vector<croton::Variable> parse_expressions(const std::vector<std::string>& expressions,
                                                const std::vector<croton::Variable>& inputs) {
  std::vector<croton::Variable> outputs;
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    const std::string source = expressions.size() == 1 ? "expression" : "expression " + std::to_string(i + 1);
    for (const croton::Variable& output : croton::parse_expression(expressions[i], inputs, source))
      outputs.push_back(output);
  }
  return outputs;
}
