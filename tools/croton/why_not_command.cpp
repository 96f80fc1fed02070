// croton why-not: what keeps a rewrite from a node.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include <croton/graph/error.h>
#include <croton/optimizer/rule_examiner.h>

#include "command.h"
#include "graph_source.h"
#include "node_names.h"

namespace {

struct WhyNotOptions {
  GraphSource source;
  std::string rule, node;
};

using Answer = croton::RuleExaminer::Answer;

std::string indented(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == '\n') result += "    ";
  }
  while (!result.empty() && (result.back() == ' ' || result.back() == '\n')) result.pop_back();
  return result;
}

std::string answers_text(const std::vector<Answer>& answers, const std::string& node) {
  std::string text = node + "\n";
  std::vector<std::string> elsewhere;
  for (const Answer& answer : answers) {
    if (!answer.looks_here) {
      if (elsewhere.empty() || elsewhere.back() != answer.rule) elsewhere.push_back(answer.rule);
      continue;
    }
    const std::string where =
        answer.rule == answer.phase ? answer.rule : fmt::format("{} in {}", answer.rule, answer.phase);
    if (answer.has_applied) {
      text += fmt::format("  {} did apply: {}\n", where, indented(*answer.reason));
    } else if (answer.reason) {
      text += fmt::format("  {}: {}\n", where, indented(*answer.reason));
    } else {
      text += fmt::format("  {} applies\n", where);
    }
  }
  if (answers.size() == elsewhere.size() && !answers.empty() && answers[0].reason && elsewhere.size() <= 4) {
    for (const Answer& answer : answers)
      text += fmt::format("  {} in {}: {}\n", answer.rule, answer.phase, *answer.reason);
  } else if (!elsewhere.empty()) {
    text += fmt::format("  look at other ops: {}\n", fmt::join(elsewhere, ", "));
  }
  return text;
}

std::string answer(const WhyNotOptions& options) {
  const croton::TextGraph built = read_graph(options.source, "why-not");
  croton::RuleExaminer examiner(options.rule, flags_for_device().query);
  const auto graph =
      optimized_graph(built, options.source.shapes, Stage::specialised, &examiner.history(), &examiner);
  const NodeNames names(*graph);
  const croton::Variable variable = names.find(options.node);
  if (variable.node()->is_leaf())
    throw croton::ValueError(fmt::format("why-not: {} is no operation: rewrites apply to nodes that compute",
                                         names.title(variable)));
  return answers_text(examiner.answers(*graph, *variable.node()), names.title(variable));
}

}  // namespace

void add_why_not_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("why-not", "Tell what keeps a rewrite from applying to a node.");
  auto options = std::make_shared<WhyNotOptions>();
  command
      ->add_option("RULE", options->rule,
                   "A rewrite, a phase, an implementation of convolutions (conv_gemm), or a tag")
      ->required();
  add_graph_options(*command, options->source);
  command->add_option("--node", options->node, "A node by debugprint's id ([@C] or C), position or name")
      ->required();
  add_flags_option(*command);
  command->callback([options] { fmt::print("{}", answer(*options)); });
}
