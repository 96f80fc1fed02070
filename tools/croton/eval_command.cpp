// croton eval: the values of expressions over arrays from files and numbers.

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <set>

#include <croton/graph/error.h>
#include <croton/graph/node.h>
#include <croton/graph/npy.h>
#include <croton/ops/evaluate.h>
#include <croton/ops/expression.h>
#include <croton/runtime/function.h>

#include "command.h"

namespace {

struct EvalOptions {
  std::vector<std::string> expressions, arguments;
  std::string output;
};

struct Arguments {
  std::vector<croton::Variable> inputs;
  std::vector<croton::Tensor> values;
};

/// "file.npy", "file.npz:name", else a literal: 3.5, [1, 2].
croton::Tensor read_value(const std::string& name, const std::string& text) {
  if (text.ends_with(".npy")) return croton::load_npy(text);
  if (const std::size_t end = text.find(".npz"); end != std::string::npos) {
    const std::string path = text.substr(0, end + 4);
    const croton::NamedTensors archive = croton::load_npz(path);
    if (text.size() > path.size() && text[path.size()] == ':')
      return archive.at(text.substr(path.size() + 1));
    std::string known;
    for (const auto& [key, tensor] : archive) known += (known.empty() ? "" : ", ") + key;
    throw croton::ValueError(fmt::format("{}: say which array of {} you mean, as {}={}:NAME; it holds {}",
                                         name, path, name, path, known.empty() ? "none" : known));
  }
  const std::vector<croton::Variable> values = croton::parse_expression(text, {}, name);
  if (values.size() != 1) throw croton::ValueError(fmt::format("{}={} is not one value", name, text));
  return croton::evaluate(values[0]);
}

Arguments read_arguments(const std::vector<std::string>& list) {
  Arguments arguments;
  std::set<std::string> seen;
  for (const std::string& argument : list) {
    const std::size_t equals = argument.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw croton::ValueError(fmt::format(
          "'{}' is no argument: expected name=file.npy, name=file.npz:array or name=3.5", argument));
    const std::string name = argument.substr(0, equals);
    if (!seen.insert(name).second) throw croton::ValueError(fmt::format("{} is given twice", name));
    // What declarations call a name is one here.
    croton::parse_declarations(name + ": scalar", "argument");
    const croton::Tensor value = read_value(name, argument.substr(equals + 1));
    arguments.inputs.emplace_back(
        croton::Node::make_input({value.dtype(), value.shape()}, name, croton::SourceLocation()));
    arguments.values.push_back(value);
  }
  return arguments;
}

void check_output(const std::string& path, std::size_t results) {
  if (!path.ends_with(".npy") && !path.ends_with(".npz"))
    throw croton::ValueError(fmt::format("-o {}: the name must end with .npy or .npz", path));
  if (path.ends_with(".npy") && results != 1)
    throw croton::ValueError(fmt::format("-o {}: {} results go into a .npz file", path, results));
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    throw croton::FileError(fmt::format("-o {}: there is no folder {}", path, folder.string()));
}

/// Arrays are called as their variables are; the others arr_0, arr_1, …, NumPy's names.
croton::NamedTensors named(const std::vector<croton::Variable>& variables, const croton::Outputs& results) {
  croton::NamedTensors archive;
  std::size_t i = 0;
  for (const croton::Tensor& tensor : results) {
    const std::string& name = variables[i].name();
    archive.add(name.empty() || archive.contains(name) ? fmt::format("arr_{}", i) : name, tensor);
    ++i;
  }
  return archive;
}

void evaluate(const EvalOptions& options) {
  const Arguments arguments = read_arguments(options.arguments);
  const std::vector<croton::Variable> outputs = parse_expressions(options.expressions, arguments.inputs);
  if (!options.output.empty()) check_output(options.output, outputs.size());
  const croton::Function f =
      croton::function({arguments.inputs.begin(), arguments.inputs.end()}, outputs, {.name = "eval"});
  const croton::Outputs results = f.call_all(arguments.values);
  if (options.output.empty()) {
    for (const croton::Tensor& result : results) fmt::print("{}\n", croton::to_string(result));
  } else if (options.output.ends_with(".npy")) {
    croton::save_npy(options.output, results.tensor());
  } else {
    croton::save_npz(options.output, named(outputs, results));
  }
}

}  // namespace

void add_eval_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("eval", "Compute expressions over arrays from files and numbers.");
  auto options = std::make_shared<EvalOptions>();
  command
      ->add_option("-e,--expression", options->expressions,
                   "What to compute: 'grad(sum(sqr(x)), x)'; may be repeated")
      ->required()
      ->allow_extra_args(false);
  command->add_option("ARGUMENT", options->arguments,
                      "name=file.npy, name=file.npz:array, name=3.5, name=[1, 2]");
  command->add_option("-o,--output", options->output,
                      "A .npy file for one result, .npz for any number; default: print");
  add_flags_option(*command);
  command->callback([options] { evaluate(*options); });
}
