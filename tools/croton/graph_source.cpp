#include "graph_source.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include <croton/graph/error.h>
#include <croton/graph/nearest_names.h>
#include <croton/ops/expression.h>
#include <croton/optimizer/optimizer.h>
#include <croton/runtime/device_choice.h>
#include <croton/runtime/specialization.h>

#include "command.h"

namespace {

/// The files of a folder that one may have meant.
std::string nearest_file(const std::string& path) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    names.push_back(entry.path().filename().string());
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  return croton::did_you_mean(std::filesystem::path(path).filename().string(), views);
}

using Shapes = std::map<std::string, croton::Shape>;

/// "x=[500,784], W=[10]": a parser of one line, with its place for complaints.
class ShapeReader {
 public:
  explicit ShapeReader(const std::string& text) : text_(text) {}

  Shapes read() {
    Shapes shapes;
    while (skip_blanks()) {
      const std::string name = word();
      expect('=');
      expect('[');
      croton::Shape shape;
      std::vector<std::int64_t> extents;
      skip_blanks();
      while (at_ < text_.size() && text_[at_] != ']') {
        extents.push_back(number());
        skip_blanks();
        if (at_ < text_.size() && text_[at_] == ',') ++at_;
        skip_blanks();
      }
      expect(']');
      if (!shapes.emplace(name, croton::Shape(extents)).second)
        throw croton::ValueError(fmt::format("--shapes: {} is given twice", name));
      skip_blanks();
      if (at_ < text_.size()) expect(',');
    }
    return shapes;
  }

 private:
  [[noreturn]] void complain(const std::string& expected) const {
    throw croton::ValueError(
        fmt::format("--shapes, column {}: expected {}, got {}; write for example 'x=[500,784], y=[500]'",
                    at_ + 1, expected, at_ < text_.size() ? "'" + text_.substr(at_, 8) + "'" : "the end"));
  }
  bool skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size();
  }
  void expect(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) complain(fmt::format("'{}'", c));
    ++at_;
  }
  std::string word() {
    const std::size_t end = std::min(text_.find_first_of("= ,", at_), text_.size());
    if (end == at_) complain("a name");
    return text_.substr(std::exchange(at_, end), end - at_);
  }
  std::int64_t number() {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc() || value < 0) complain("an extent");
    at_ = static_cast<std::size_t>(end - text_.data());
    return value;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

/// The types of the variables with the extents that were given.
std::vector<croton::TensorType> narrowed(const std::vector<croton::Variable>& variables,
                                         const Shapes& shapes) {
  std::vector<croton::TensorType> types;
  for (const croton::Variable& v : variables) {
    types.push_back(v.type());
    const auto entry = shapes.find(v.name());
    if (v.name().empty() || entry == shapes.end()) continue;
    const croton::TensorType given{v.dtype(), entry->second};
    if (given.rank() != v.rank() || !croton::compatible(v.type(), given)) {
      throw croton::ShapeError(fmt::format("--shapes: {} is {}, which contradicts the shape {}", v.name(),
                                           to_string(v.type()), to_string(entry->second)));
    }
    types.back() = given;
  }
  return types;
}

/// Which results are the new values of which shared variables.
void add_updates(const croton::TextGraph& built, const croton::FunctionGraph& graph,
                 croton::SpecializeOptions& options) {
  options.results = built.outputs.size();
  for (std::size_t i = 0; i < built.updates.size(); ++i) {
    for (std::size_t s = 0; s < graph.shared().size(); ++s) {
      if (graph.shared()[s].node()->cell() == built.updates[i].first.node()->cell())
        options.updates.emplace_back(built.outputs.size() + i, s);
    }
  }
}

bool has_open_shapes(const croton::Node& node) {
  const auto is_open = [](const croton::TensorType& type) { return !type.shape.is_known(); };
  for (const croton::Variable& input : node.inputs()) {
    if (is_open(input.type())) return true;
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (is_open(node.type(i))) return true;
  }
  return false;
}

}  // namespace

FlagsForDevice flags_for_device() {
  const croton::Device device = croton::choose_device(std::string(croton::config().device()));
  FlagsForDevice flags{.options = {}, .query = croton::Query::from_flags()};
  croton::check_cudnn(flags.query, device);
  flags.query = croton::for_device(device, flags.options, flags.query);
  // Whether there is code is known for the shapes of a call; without them: what is the case for most.
  flags.options.supports = [known = flags.options.supports](const croton::Node& node) {
    return has_open_shapes(node) || known(node);
  };
  return flags;
}

std::string read_text(const std::string& path) {
  if (path == "-") {  // may be asked for several times
    static const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    return input;
  }
  std::ifstream stream(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream)
    throw croton::FileError(
        fmt::format("cannot read {}: {}{}", path, std::strerror(errno), nearest_file(path)));
  return text;
}

void add_graph_options(CLI::App& command, GraphSource& source) {
  command.add_option("FILE", source.file, "A graph in the text form; - is standard input");
  command.add_option("--inputs", source.inputs,
                     "Inputs of the expressions: 'X: matrix, w: float32[8,3,?,?]'");
  command
      .add_option("-e,--expression", source.expressions, "An output: 'softmax(dot(X, w))'; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--shapes", source.shapes,
                     "Shapes of inputs and shared variables at a call: 'x=[500,784], y=[500]'");
}

croton::TextGraph read_graph(const GraphSource& source, const std::string& command) {
  if (!source.file.empty()) {
    if (!source.expressions.empty() || !source.inputs.empty())
      throw croton::ValueError(command + " takes a file or expressions (--inputs, -e), not both");
    return croton::parse_graph(read_text(source.file), {.file = source.file});
  }
  if (source.expressions.empty())
    throw croton::ValueError(
        command + " needs a file in the text form or an expression: -e 'tanh(x)' --inputs 'x: matrix'");
  croton::TextGraph graph{"", croton::parse_declarations(source.inputs, "inputs"), {}};
  graph.outputs = parse_expressions(source.expressions, graph.inputs);
  return graph;
}

std::unique_ptr<croton::FunctionGraph> optimized_graph(const croton::TextGraph& built,
                                                       const std::string& shapes, Stage stage,
                                                       croton::RewriteHistory* history,
                                                       croton::OptimizerObserver* observer) {
  auto graph = std::make_unique<croton::FunctionGraph>(built.inputs, built.results());
  const Shapes given = ShapeReader(shapes).read();
  std::vector<std::string_view> names;
  for (const auto* list : {&graph->inputs(), &graph->shared()}) {
    for (const croton::Variable& v : *list) names.push_back(v.name());
  }
  for (const auto& [name, shape] : given) {
    if (std::ranges::find(names, name) == names.end())
      throw croton::ValueError(fmt::format("--shapes: the graph has no input or shared variable '{}'{}", name,
                                           croton::did_you_mean(name, names)));
  }
  const croton::Query query = croton::Query::from_flags();
  croton::OptimizerObserver* watching = observer != nullptr ? observer : history;
  if (stage != Stage::built) croton::optimize(*graph, query, nullptr, watching);
  if (!given.empty()) {
    std::unordered_map<croton::Variable, croton::Variable> copies;
    auto typed =
        graph->with_types(narrowed(graph->inputs(), given), narrowed(graph->shared(), given), {}, &copies);
    if (history != nullptr) history->follow(copies);
    graph = std::move(typed);
  }
  if (stage == Stage::specialised) {
    FlagsForDevice flags = flags_for_device();
    add_updates(built, *graph, flags.options);
    croton::specialize(*graph, flags.query, flags.options, nullptr, watching);
  }
  return graph;
}
