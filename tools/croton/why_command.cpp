// croton why: where the nodes of an optimized graph come from.

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include <croton/graph/error.h>
#include <croton/graph/op.h>
#include <croton/ops/conv_problem.h>
#include <croton/optimizer/conv_choice.h>

#include "command.h"
#include "equal_expressions.h"
#include "graph_source.h"
#include "node_names.h"

namespace {

struct WhyOptions {
  GraphSource source;
  std::string node;
  bool trace = false;
};

constexpr const char* open_convolution =
    "no implementation is chosen yet: its shapes are not all known. Give them, for example with --shapes "
    "'x=[500,1,28,28]'\n";

std::string origin(const croton::Node& node) {
  return node.where().known() ? "made at " + to_string(node.where()) : std::string("made at an unknown line");
}

/// Rewrites that made a node, and for a convolution who could have computed it.
std::string story(const croton::Variable& variable, const NodeNames& names,
                  const croton::RewriteHistory& history) {
  const croton::Node& node = *variable.node();
  std::string text = names.title(variable) + "  " + to_string(variable.type()) + "\n  " + origin(node) + "\n";
  if (node.is_leaf())
    return text + fmt::format("  {}: no rewrite makes one\n", variable.is_constant() ? "a constant"
                                                              : variable.is_shared() ? "a shared variable"
                                                                                     : "an input");
  const std::vector<std::size_t> chain = history.chain(node);
  if (chain.empty()) text += "  as it was built: no rewrite replaced it\n";
  for (std::size_t i = 0; i < chain.size(); ++i)
    text += fmt::format("  {}. {}", i + 1, history.records()[chain[i]].text(5));
  if (croton::is_abstract_convolution(node)) {
    text += std::string("  ") + open_convolution;
  }
  return text;
}

/// One line for each node, in the order of execution.
std::string overview(const NodeNames& names, const croton::RewriteHistory& history) {
  std::string text;
  for (croton::Node* node : names.order()) {
    text += names.title(node->output());
    if (node->where().known()) text += fmt::format("  ({})", to_string(node->where()));
    const std::vector<std::size_t> chain = history.chain(*node);
    const char* separator = "  by ";
    for (const std::size_t at : chain) {
      text += separator + history.records()[at].rule;
      separator = ", ";
    }
    text += chain.empty() ? "  as built\n" : "\n";
    if (croton::is_abstract_convolution(*node)) text += std::string("    ") + open_convolution;
    for (const std::size_t at : chain) {
      const std::string& choice = history.records()[at].choice;
      for (std::size_t begin = 0; begin < choice.size();) {
        const std::size_t end = std::min(choice.find('\n', begin), choice.size());
        text += "    " + choice.substr(begin, end - begin) + "\n";
        begin = end + 1;
      }
    }
  }
  return text;
}

/// What became of a variable whose name is in no node any more; nothing for a name that never was.
std::string farewell(const std::string& name, const croton::TextGraph& built,
                     const croton::FunctionGraph& graph, const NodeNames& names,
                     const croton::RewriteHistory& history) {
  const std::string head = name + " is not in the optimized graph any more\n";
  for (std::size_t at = history.records().size(); at-- > 0;) {
    const croton::RewriteRecord& record = history.records()[at];
    if (std::ranges::find(record.gone, name) == record.gone.end()) continue;
    std::string text = head + "  it went with " + record.text(4);
    for (const croton::Ref<croton::Node>& node : graph.nodes()) {
      const std::vector<std::size_t> chain = history.chain(*node);
      if (std::ranges::find(chain, at) != chain.end())
        text += "  what was made then is now in " + names.title(node->output()) + '\n';
    }
    return text;
  }
  const std::string twin = equal_expression(built, name);
  if (!twin.empty())
    return head + fmt::format("  it is the same expression as {}: equal nodes are one\n", twin);
  return {};
}

/// Every rewrite, in the order in which they happened.
std::string trace(const croton::RewriteHistory& history) {
  std::string text;
  for (std::size_t i = 0; i < history.records().size(); ++i)
    text += fmt::format("{}. {}", i + 1, history.records()[i].text(5));
  return text + fmt::format("{} rewrites\n", history.records().size());
}

std::string answer(const WhyOptions& options) {
  const croton::TextGraph built = read_graph(options.source, "why");
  croton::RewriteHistory history(flags_for_device().query);
  const auto graph = optimized_graph(built, options.source.shapes, Stage::specialised, &history);
  if (options.trace) return trace(history);
  const NodeNames names(*graph);
  if (options.node.empty()) return overview(names, history);
  try {
    return story(names.find(options.node), names, history);
  } catch (const croton::ValueError&) {
    std::string gone = farewell(options.node, built, *graph, names, history);
    if (gone.empty()) throw;
    return gone;
  }
}

}  // namespace

void add_why_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("why", "Tell which rewrites made a node, and how a convolution was chosen.");
  auto options = std::make_shared<WhyOptions>();
  add_graph_options(*command, options->source);
  CLI::Option* node = command->add_option(
      "--node", options->node,
      "A node by debugprint's id ([@C] or C), position or name; all nodes in short without it");
  command->add_flag("--trace", options->trace, "Every rewrite in order, before and after")->excludes(node);
  add_flags_option(*command);
  command->callback([options] { fmt::print("{}", answer(*options)); });
}
