#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include <croton/graph/function_graph.h>
#include <croton/graph/text_form.h>
#include <croton/optimizer/optimizer.h>
#include <croton/optimizer/query.h>
#include <croton/optimizer/rewrite_history.h>

/// The graph that a command is about, as the command line names it: a file in the text form, or expressions.
struct GraphSource {
  std::string file, inputs, shapes;
  std::vector<std::string> expressions;
};

/// FILE, --inputs, -e and --shapes.
void add_graph_options(CLI::App& command, GraphSource& source);

/// The graph as it was built. `command` is for complaints.
croton::TextGraph read_graph(const GraphSource& source, const std::string& command);

/// How far a graph is optimized.
enum class Stage { built, general, specialised };

/// The graph (its outputs, then its updates) after that stage with the flags of the moment, among them
/// device; the shapes of `source` are put in between.
std::unique_ptr<croton::FunctionGraph> optimized_graph(const croton::TextGraph& built,
                                                       const std::string& shapes, Stage stage,
                                                       croton::RewriteHistory* history = nullptr,
                                                       croton::OptimizerObserver* observer = nullptr);

/// What the flags say about optimizing, for the device that they name: DeviceError where that cannot be used.
struct FlagsForDevice {
  croton::SpecializeOptions options;
  croton::Query query;
};
FlagsForDevice flags_for_device();

/// A text file; "-" is standard input. FileError where it cannot be read.
std::string read_text(const std::string& path);
