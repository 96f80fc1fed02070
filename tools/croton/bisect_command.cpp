// croton bisect: the first rewrite, kernel or library call that goes wrong, and a small program that shows
// it.

#include <fmt/format.h>

#include <memory>

#include <croton/graph/check_error.h>
#include <croton/graph/error.h>
#include <croton/graph/input_file.h>
#include <croton/graph/npy.h>
#include <croton/graph/output_file.h>
#include <croton/graph/text_form.h>
#include <croton/runtime/bisect.h>

#include "command.h"

namespace {

struct BisectOptions {
  std::string file, inputs, program = "bisect.cpp";
};

std::string read_all(const std::string& path) {
  const croton::InputFile file(path);
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

/// The values of the graph's inputs: by name, else by position ("arg0", as replay files have them).
std::vector<croton::Tensor> read_inputs(const croton::TextGraph& graph, const std::string& path) {
  const croton::NamedTensors archive = croton::load_npz(path);
  std::vector<croton::Tensor> values;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const croton::Tensor* named = archive.find(graph.inputs[i].name());
    values.push_back(named != nullptr ? *named : archive.at(fmt::format("arg{}", i)));
  }
  return values;
}

void bisect(const BisectOptions& options) {
  const croton::TextGraph graph = croton::parse_graph(read_all(options.file), {.file = options.file});
  const auto found = croton::bisect(graph, read_inputs(graph, options.inputs));
  if (!found) {
    fmt::print("no rewrite, kernel or library call leaves the tolerance for these values\n");
    return;
  }
  fmt::print("{}\n\nsmallest case: {} of {} nodes, after {} tries; inputs", found->report, found->nodes_after,
             found->nodes_before, found->tries);
  for (const croton::Tensor& input : found->inputs) {
    fmt::print(" {}", croton::to_string(croton::TensorType{input.dtype(), input.shape()}));
  }
  const std::string program = found->program();
  croton::OutputFile file(options.program);
  file.write(program.data(), program.size());
  file.commit();
  fmt::print("\na program that shows it: {}\n", options.program);
  throw CLI::RuntimeError(1);
}

}  // namespace

void add_bisect_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "bisect",
      "Find the first rewrite, kernel or library call whose result is wrong; status 1 when there is one.");
  auto options = std::make_shared<BisectOptions>();
  command->add_option("FILE", options->file, "A graph in the text form")->required();
  command
      ->add_option("--inputs", options->inputs,
                   "A .npz file with the inputs' values, by name, or arg0, arg1, … by position")
      ->required();
  command->add_option("--program", options->program, "Where the C++ program goes that shows it");
  add_flags_option(*command);
  command->callback([options] { bisect(*options); });
}
