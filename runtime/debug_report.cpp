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
TextGraph detached(const FunctionGraph& graph, const FunctionDefinition& definition) {
  std::unordered_map<Variable, Variable> copies;
  std::unordered_map<const SharedCell*, Variable> by_cell;
  const auto copy_of_shared = [&](const Variable& v) {
    const auto cell = std::make_shared<SharedCell>(v.node()->cell()->value().copy());
    Variable copy(Node::make_shared(cell, v.type(), v.node()->where()));
    copy.set_name(v.name());
    by_cell.emplace(v.node()->cell().get(), copy);
    return copy;
  };
  for (const Variable& v : graph.shared()) copies.emplace(v, copy_of_shared(v));
  TextGraph text{definition.name, {}, {}};
  for (const Variable& v : graph.inputs()) {
    Variable copy(Node::make_input(v.type(), v.name(), v.node()->where()));
    copies.emplace(v, copy);
    text.inputs.push_back(copy);
  }
  text.outputs = clone(graph.outputs(), copies);
  const std::size_t count = definition.output_names.size();
  for (std::size_t j = 0; j < definition.updated.size(); ++j) {
    const SharedVariable& target = definition.updated[j];
    const auto read = by_cell.find(target.cell().get());
    text.updates.emplace_back(read == by_cell.end() ? copy_of_shared(target) : read->second,
                              text.outputs[count + j]);
  }
  text.outputs.resize(count);
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
    const TextGraph graph = detached(original, definition);
    std::string text = fmt::format("{}{}\n// mode: {}\n", mark, path, definition.mode.text());
    text += fmt::format("// device: {}\n", to_string(definition.device));
    text += fmt::format("// including: {}\n// excluding: {}\n", fmt::join(query.included(), ":"),
                        fmt::join(query.excluded(), ":"));
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

Replay load_replay(const std::string& path, std::string_view mode, std::string_view device) {
  const std::string text = read_all(path);
  const TextGraph graph = parse_graph(text, {.file = path});
  const std::string values = path + ".npz";
  if (std::error_code error; !text.starts_with(mark) && !std::filesystem::exists(values, error)) {
    throw ValueError(fmt::format(
        "{} is a graph, not a report of DebugMode or NanGuardMode, which has the values of a call "
        "beside it, in {}",
        path, values));
  }
  const NamedTensors arguments = load_npz(values);
  Replay replay;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    replay.arguments.push_back(arguments.at(fmt::format("arg{}", i)));
  }
  FunctionOptions options{.name = graph.name};
  for (const auto& [target, value] : graph.updates) options.updates.emplace_back(target, value);
  const std::string written = header_value(text, "mode");
  Mode how(mode.empty() ? std::string_view(written.empty() ? "DebugMode" : written) : mode);
  how = how.including(header_value(text, "including")).excluding(header_value(text, "excluding"));
  options.mode = how;
  options.device = device.empty() ? header_value(text, "device") : std::string(device);
  options.on_unused_input = OnUnusedInput::ignore;
  options.no_default_updates = true;
  replay.function = function({graph.inputs.begin(), graph.inputs.end()}, graph.outputs, options);
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
