// What the commands that take expressions have in common.

#include <map>

#include <croton/graph/flags.h>
#include <croton/ops/expression.h>

#include "command.h"

namespace {

/// The values of all flags before --flags were read.
std::map<std::string, std::string>& values_before() {
  static std::map<std::string, std::string> values;
  return values;
}

void read_flags(const std::string& text) {
  for (const croton::FlagInfo& flag : croton::flag_infos())
    values_before().emplace(flag.name, croton::config().get(flag.name));
  croton::config().read_string(text);
}

}  // namespace

void add_flags_option(CLI::App& command) {
  command
      .add_option_function<std::string>("--flags", read_flags,
                                        "Flags for this run: floatX=float64,optimizer_excluding=fusion")
      ->option_text("NAME=VALUE,…");
}

std::vector<std::string> command_line_flags() {
  std::vector<std::string> names;
  for (const croton::FlagInfo& flag : croton::flag_infos()) {
    if (croton::config().source(flag.name).starts_with("--flags")) names.emplace_back(flag.name);
  }
  return names;
}

std::string flag_before_command_line(const std::string& name) { return values_before().at(name); }

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
