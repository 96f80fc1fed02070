// croton debugprint: the graph of expressions, or of a file in the text form, before or after optimizing; the
// difference between two of them.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include <croton/graph/debugprint.h>
#include <croton/graph/error.h>
#include <croton/graph/flags.h>
#include <croton/graph/output_file.h>
#include <croton/graph/text_form.h>
#include <croton/ops/pp.h>

#include "command.h"
#include "graph_difference.h"
#include "graph_json.h"
#include "graph_source.h"
#include "terminal.h"

namespace {

struct DebugprintOptions {
  GraphSource source;
  std::vector<std::string> difference;
  bool before = false, general = false, types = false, extents = false, stop_on_name = false,
       rewrites = false;
  bool destroy_map = false, view_map = false, clients = false, inner_graphs = false;
  std::string style = "tree", ids = "at", output;
  int depth = -1;
};

Stage stage_of(const DebugprintOptions& options) {
  return options.before ? Stage::built : options.general ? Stage::general : Stage::specialised;
}

croton::DebugprintOptions print_options(const DebugprintOptions& options) {
  croton::DebugprintOptions print{.depth = options.depth,
                                  .print_type = options.types,
                                  .stop_on_name = options.stop_on_name,
                                  .print_destroy_map = options.destroy_map,
                                  .print_view_map = options.view_map,
                                  .print_rewrites = options.rewrites,
                                  .print_shape = options.extents,
                                  .print_clients = options.clients,
                                  .print_inner_graphs = options.inner_graphs,
                                  .color = options.output.empty() && wants_color()};
  if (options.ids == "id") print.ids = croton::DebugprintIds::id;
  if (options.ids == "int") print.ids = croton::DebugprintIds::number;
  if (options.ids == "none") print.ids = croton::DebugprintIds::none;
  return print;
}

std::string shown(const DebugprintOptions& options) {
  const croton::TextGraph built = read_graph(options.source, "debugprint");
  const Stage stage = stage_of(options);
  const croton::TextOptions text{.rewrites = options.rewrites};
  if (stage == Stage::built && options.source.shapes.empty()) {
    // Not through a function graph, which keeps equal nodes once.
    if (options.style == "text") return croton::to_text(built, text);
    if (options.style == "tree" && !options.clients)
      return croton::debugprint_text(built.results(), print_options(options));
    if (options.style == "math") {
      std::string lines;
      for (const croton::Variable& output : built.results()) lines += croton::pp(output) + '\n';
      return lines;
    }
  }
  const auto graph = optimized_graph(built, options.source.shapes, stage);
  if (options.style == "text") return croton::to_text(*graph, built.name, text);
  if (options.style == "math") return croton::pp(*graph) + '\n';
  if (options.style == "json") return graph_json(*graph, built.name);
  return croton::debugprint_text(*graph, print_options(options));
}

/// Flags as they were before --flags were read, for as long as it lives; nothing else changes.
class WithoutFlag {
 public:
  explicit WithoutFlag(const std::string& name)
      : value_(flag_before_command_line(name)), scope_({{name, value_}}) {}

 private:
  std::string value_;
  croton::ConfigScope scope_;
};

/// The flags of --flags without which the graph would be the same.
std::string idle_flags(const DebugprintOptions& options) {
  if (command_line_flags().empty()) return "";
  DebugprintOptions plain = options;
  plain.style = "text";
  const std::string with = shown(plain);
  std::string text;
  for (const std::string& name : command_line_flags()) {
    const std::string assignment = fmt::format("{}={}", name, croton::config().get(name));
    const WithoutFlag without(name);
    if (shown(plain) == with) text += fmt::format("{}{}", text.empty() ? "" : ", ", assignment);
  }
  return text;
}

/// One side of --diff: a stage, a file, shapes or flags.
std::unique_ptr<croton::FunctionGraph> side(const DebugprintOptions& options, const std::string& what) {
  GraphSource source = options.source;
  Stage stage = stage_of(options);
  const auto graph = [&] { return optimized_graph(read_graph(source, "debugprint"), source.shapes, stage); };
  if (what == "before" || what == "built") stage = Stage::built;
  if (what == "general") stage = Stage::general;
  if (what == "before" || what == "built" || what == "general" || what == "after" || what.empty())
    return graph();
  if (what.find("=[") != std::string::npos) {
    source.shapes = what;
    return graph();
  }
  if (what.find('=') == std::string::npos || std::filesystem::exists(what)) {
    source.file = what;
    source.expressions.clear();
    source.inputs.clear();
    return graph();
  }
  std::vector<std::pair<std::string, std::string>> old;
  for (const croton::FlagInfo& flag : croton::flag_infos())
    old.emplace_back(flag.name, croton::config().get(flag.name));
  croton::config().read_string(what, croton::FlagOrigin::code, "--diff");
  auto result = graph();
  for (const auto& [name, value] : old) {
    if (croton::config().get(name) != value) croton::config().set(name, std::string_view(value));
  }
  return result;
}

void run(const DebugprintOptions& options) {
  if (!options.difference.empty()) {
    const auto a = side(options, options.difference[0]), b = side(options, options.difference[1]);
    fmt::print("{}", graph_difference_text(*a, *b, wants_color()));
    return;
  }
  if (options.output.empty()) {
    fmt::print("{}", shown(options));
  } else {
    croton::OutputFile file(options.output);
    const std::string text = shown(options);
    file.write(text.data(), text.size());
    file.commit();
  }
  if (const std::string idle = idle_flags(options); !idle.empty())
    fmt::print(stderr, "without effect on this graph: {}\n", idle);
}

}  // namespace

void add_debugprint_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("debugprint", "Print the graph that runs for expressions or a file.");
  auto options = std::make_shared<DebugprintOptions>();
  add_graph_options(*command, options->source);
  CLI::Option* before =
      command->add_flag("--before", options->before, "The graph as it was built, not optimized");
  command
      ->add_flag("--general", options->general,
                 "The graph before implementations, fusion and in-place are decided for the shapes")
      ->excludes(before);
  command
      ->add_option("--style", options->style,
                   "tree (Theano's), text (which reads back), math (mathematics), json")
      ->check(CLI::IsMember({"tree", "text", "math", "json"}));
  command->add_flag("--types", options->types, "Print types");
  command->add_flag("--extents", options->extents, "Print shapes");
  command
      ->add_option("--ids", options->ids,
                   "How nodes are told apart: at ([@A]), id ([id A]), int ([@0]), none")
      ->check(CLI::IsMember({"at", "id", "int", "none"}));
  command->add_option("--depth", options->depth, "Levels to print; -1 for all");
  command->add_flag("--stop-on-name", options->stop_on_name, "Print nothing below a named variable");
  command->add_flag("--rewrites", options->rewrites, "Print the rewrites that made each node");
  command->add_flag("--destroy-map", options->destroy_map, "Print which inputs a node writes over");
  command->add_flag("--view-map", options->view_map, "Print which inputs a node's outputs are views of");
  command->add_flag("--clients", options->clients, "Print who uses a variable that several use");
  command->add_flag("--inner-graphs", options->inner_graphs, "Print what fused nodes compute");
  command->add_option("-o,--output", options->output, "Write to a file");
  command
      ->add_option(
          "--diff", options->difference,
          "Compare two of: before, general, after, a file, shapes ('x=[500,784]'), flags ('mode=None')")
      ->option_text("A B")
      ->expected(2);
  add_flags_option(*command);
  command->callback([options] { run(*options); });
}
