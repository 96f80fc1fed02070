// croton debugprint: the graph of expressions, or of a file in the text form, before or after optimizing.

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include <croton/graph/debugprint.h>
#include <croton/graph/error.h>
#include <croton/graph/text_form.h>
#include <croton/ops/expression.h>
#include <croton/ops/pp.h>
#include <croton/optimizer/optimizer.h>

#include "command.h"

namespace {

struct Options {
  std::string file, inputs;
  std::vector<std::string> expressions;
  bool before = false, general = false, types = false, stop_on_name = false, rewrites = false;
  bool text = false, math = false;
  std::string ids = "at";
  int depth = -1;
};

std::string read_text(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream) throw croton::FileError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return text;
}

croton::TextGraph graph_of(const Options& options) {
  if (!options.file.empty()) {
    if (!options.expressions.empty() || !options.inputs.empty())
      throw croton::ValueError("debugprint takes a file or expressions (--inputs, -e), not both");
    return croton::parse_graph(read_text(options.file), {.file = options.file});
  }
  if (options.expressions.empty())
    throw croton::ValueError(
        "debugprint needs a file in the text form or an expression: -e 'tanh(x)' --inputs 'x: matrix'");
  croton::TextGraph graph{"", croton::parse_declarations(options.inputs, "inputs"), {}};
  graph.outputs = parse_expressions(options.expressions, graph.inputs);
  return graph;
}

croton::DebugprintOptions print_options(const Options& options) {
  croton::DebugprintOptions print{.depth = options.depth,
                                  .print_type = options.types,
                                  .stop_on_name = options.stop_on_name,
                                  .print_rewrites = options.rewrites};
  if (options.ids == "id") print.ids = croton::DebugprintIds::id;
  if (options.ids == "int") print.ids = croton::DebugprintIds::number;
  if (options.ids == "none") print.ids = croton::DebugprintIds::none;
  return print;
}

std::string shown(const Options& options) {
  const croton::TextGraph built = graph_of(options);
  const croton::TextOptions text{.rewrites = options.rewrites};
  if (options.before) {
    if (options.text) return croton::to_text(built, text);
    if (!options.math) return croton::debugprint_text(built.outputs, print_options(options));
    std::string lines;
    for (const croton::Variable& output : built.outputs) lines += croton::pp(output) + '\n';
    return lines;
  }
  croton::FunctionGraph graph(built.inputs, built.outputs);
  const croton::Query query = croton::Query::from_flags();
  croton::optimize(graph, query);
  if (!options.general) croton::specialize(graph, query);
  if (options.text) return croton::to_text(graph, built.name, text);
  if (options.math) return croton::pp(graph) + '\n';
  return croton::debugprint_text(graph, print_options(options));
}

}  // namespace

void add_debugprint_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("debugprint", "Print the graph that runs for expressions or a file.");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "A graph in the text form; - is standard input");
  command->add_option("--inputs", options->inputs,
                      "Inputs of the expressions: 'X: matrix, w: float32[8,3,?,?]'");
  command
      ->add_option("-e,--expression", options->expressions,
                   "An output: 'softmax(dot(X, w))'; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--before", options->before, "The graph as it was built, not optimized");
  command->add_flag("--general", options->general,
                    "The graph before implementations, fusion and in-place are decided for the shapes");
  command->add_flag("--types", options->types, "Print types");
  command
      ->add_option("--ids", options->ids,
                   "How nodes are told apart: at ([@A]), id ([id A]), int ([@0]), none")
      ->check(CLI::IsMember({"at", "id", "int", "none"}));
  command->add_option("--depth", options->depth, "Levels to print; -1 for all");
  command->add_flag("--stop-on-name", options->stop_on_name, "Print nothing below a named variable");
  command->add_flag("--rewrites", options->rewrites, "Print the rewrites that made each node");
  CLI::Option* text = command->add_flag("--text", options->text, "The text form instead, which reads back");
  command->add_flag("--math", options->math, "Mathematics instead")->excludes(text);
  add_flags_option(*command);
  command->callback([options] { fmt::print("{}", shown(*options)); });
}
