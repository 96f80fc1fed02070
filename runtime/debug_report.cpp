#include "croton/runtime/debug_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/input_file.h"
#include "croton/graph/npy.h"
#include "croton/graph/output_file.h"
#include "croton/graph/text_form.h"

namespace croton {

namespace {

constexpr std::string_view mark = "// croton replay ";

/// "name: value" lines behind comment marks.
std::string comment(std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines += fmt::format("//   {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// The graph with shared variables of its own, which hold the values of now: the function's are locked.
TextGraph detached(const FunctionGraph& graph, const std::string& name) {
  std::unordered_map<Variable, Variable> copies;
  for (const Variable& v : graph.shared()) {
    const auto cell = std::make_shared<SharedCell>(v.node()->cell()->value().copy());
    Variable copy(Node::make_shared(cell, v.type(), v.node()->where()));
    copy.set_name(v.name());
    copies.emplace(v, copy);
  }
  TextGraph text{name, {}, {}};
  for (const Variable& v : graph.inputs()) {
    Variable copy(Node::make_input(v.type(), v.name(), v.node()->where()));
    copies.emplace(v, copy);
    text.inputs.push_back(copy);
  }
  text.outputs = clone(graph.outputs(), copies);
  return text;
}

std::string read_all(const std::string& path) {
  const InputFile file(path);
  std::string text(file.size(), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

std::string header_value(std::string_view text, std::string_view name) {
  const std::string start = fmt::format("// {}: ", name);
  const std::size_t at = text.find(start);
  if (at == std::string_view::npos) return {};
  const std::size_t from = at + start.size();
  return std::string(text.substr(from, text.find('\n', from) - from));
}

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    if (end > 0) words.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return words;
}

}  // namespace

std::string write_debug_report(const FunctionDefinition& definition, const FunctionGraph& original,
                               const Tensor* const* inputs, std::string_view what) {
  const std::filesystem::path folder = config().debug_report_dir();
  if (folder == "none") return {};
  static std::atomic<int> count{0};
  std::error_code no_folder;
  const std::filesystem::path parent =
      folder.empty() ? std::filesystem::temp_directory_path(no_folder) : folder;
  const std::string path =
      (parent / fmt::format("croton-{}-{}.croton", getpid(), count.fetch_add(1))).string();
  try {
    const Query& query = definition.mode.query();
    const TextGraph graph = detached(original, definition.name);
    std::vector<std::string> updates;  // positions among the shared variables of the text
    for (const SharedVariable& updated : definition.updated) {
      updates.emplace_back("-");  // it is written but not read: nothing in the text stands for it
      for (std::size_t i = 0; i < original.shared().size(); ++i) {
        if (original.shared()[i].node()->cell() == updated.cell()) updates.back() = std::to_string(i);
      }
    }
    std::string text = fmt::format("{}{}\n// mode: {}\n", mark, path, definition.mode.text());
    text += fmt::format("// including: {}\n// excluding: {}\n", fmt::join(query.included(), ":"),
                        fmt::join(query.excluded(), ":"));
    text += fmt::format("// outputs: {}\n// updates: {}\n", definition.output_names.size(),
                        fmt::join(updates, " "));
    text += "// report:\n" + comment(what) + to_text(graph, {.shared_values = true, .locations = true});
    OutputFile file(path);
    file.write(text.data(), text.size());
    file.commit();
    NamedTensors arguments;
    for (std::size_t i = 0; i < original.inputs().size(); ++i) {
      arguments.add(fmt::format("arg{}", i), *inputs[i]);
    }
    save_npz(path + ".npz", arguments);
  } catch (const Error& e) {
    return fmt::format("\n  (the file for croton replay could not be written: {})", e.what());
  }
  return fmt::format("\n  croton replay {} shows it again", path);
}

Replay load_replay(const std::string& path, std::string_view mode) {
  const std::string text = read_all(path);
  const TextGraph graph = parse_graph(text, {.file = path});
  const NamedTensors arguments = load_npz(path + ".npz");
  Replay replay;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    replay.arguments.push_back(arguments.at(fmt::format("arg{}", i)));
  }
  std::size_t outputs = graph.outputs.size();
  if (const std::string count = header_value(text, "outputs"); !count.empty()) {
    outputs = std::min<std::size_t>(outputs, std::stoul(count));
  }
  // A function graph lists them by first need; the text's own variables of the same cells.
  std::unordered_map<const SharedCell*, Variable> by_cell;
  for (const Node* node : topological_order(graph.outputs)) {
    for (const Variable& input : node->inputs()) {
      if (input.is_shared()) by_cell.emplace(input.node()->cell().get(), input);
    }
  }
  for (const Variable& output : graph.outputs) {
    if (output.is_shared()) by_cell.emplace(output.node()->cell().get(), output);
  }
  std::vector<Variable> shared;
  const FunctionGraph order(graph.inputs, graph.outputs);
  for (const Variable& v : order.shared()) {
    shared.push_back(by_cell.at(v.node()->cell().get()));
  }
  FunctionOptions options{.name = graph.name};
  const std::vector<std::string> updates = words_of(header_value(text, "updates"));
  for (std::size_t j = 0; outputs + j < graph.outputs.size(); ++j) {
    if (j < updates.size() && updates[j] == "-") continue;
    const std::size_t target = j < updates.size() ? std::stoul(updates[j]) : shared.size();
    if (target >= shared.size()) throw FileError(path + ": its list of updates does not fit its graph");
    options.updates.emplace_back(shared[target], graph.outputs[outputs + j]);
  }
  const std::string written = header_value(text, "mode");
  Mode how(mode.empty() ? std::string_view(written.empty() ? "DebugMode" : written) : mode);
  how = how.including(header_value(text, "including")).excluding(header_value(text, "excluding"));
  options.mode = how;
  options.on_unused_input = OnUnusedInput::ignore;
  options.no_default_updates = true;
  replay.function =
      function({graph.inputs.begin(), graph.inputs.end()},
               std::vector<Variable>(graph.outputs.begin(),
                                     graph.outputs.begin() + static_cast<std::ptrdiff_t>(outputs)),
               options);
  const std::size_t report = text.find("// report:\n");
  if (report != std::string::npos) {
    std::size_t at = report + std::string_view("// report:\n").size();
    while (text.compare(at, 5, "//   ") == 0) {
      const std::size_t end = text.find('\n', at);
      replay.report += text.substr(at + 5, end - at - 4);
      at = end + 1;
    }
  }
  return replay;
}

}  // namespace croton
