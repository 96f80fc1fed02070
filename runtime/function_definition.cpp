#include "croton/runtime/function_definition.h"

#include <fmt/format.h>

#include <chrono>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/graph/op.h"
#include "croton/runtime/cuda_library_start.h"
#include "croton/runtime/device_choice.h"
#include "croton/runtime/specialization.h"

namespace croton {

namespace {

using Replacements = std::unordered_map<Variable, Variable>;

std::string in_function(const FunctionDefinition& definition) {
  return fmt::format("function '{}': ", definition.name);
}

void check_inputs(const FunctionDefinition& definition) {
  std::unordered_map<Variable, std::size_t> positions;
  for (std::size_t i = 0; i < definition.inputs.size(); ++i) {
    const Variable& variable = definition.inputs[i].variable();
    const std::string intro = in_function(definition) + fmt::format("input {} (counted from 0) ", i);
    if (!variable) throw TypeError(intro + "is an empty Variable");
    if (variable.is_constant()) {
      throw TypeError(intro + "is a constant, " + describe(variable) +
                      "; inputs are variables whose value each call gives");
    }
    if (variable.is_shared()) {
      throw TypeError(intro + "is the shared variable " + describe(variable) +
                      "; shared variables are not listed as inputs; to compute with another value in its "
                      "place use givens");
    }
    const auto [entry, first] = positions.emplace(variable, i);
    if (!first) {
      throw UnusedInputError(
          intro + fmt::format("is {}, which is input {} already", describe(variable), entry->second));
    }
  }
}

/// `operand` as the dtype of `target`: a C++ number takes it on.
Variable with_dtype_of(const Variable& target, const Operand& operand) {
  const Variable& variable = operand.variable();
  if (!operand.is_weak() || !variable.is_constant()) return variable;
  const DType dtype = target.dtype();
  if (is_floating(variable.dtype()) && !is_floating(dtype)) return variable;
  return constant(variable.constant_value().astype(dtype), operand.where());
}

void check_types(const std::string& what, const Variable& target, const Variable& expression) {
  const TensorType& expected = target.type();
  const TensorType& got = expression.type();
  if (got.dtype != expected.dtype) {
    throw TypeError(what + fmt::format(": {} has dtype {}, expected {}; convert it with .astype(DType::{})",
                                       describe(expression), name_of(got.dtype), name_of(expected.dtype),
                                       name_of(expected.dtype)));
  }
  if (got.rank() != expected.rank()) {
    throw TypeError(what + fmt::format(": {} has {} axes, expected {}", describe(expression), got.rank(),
                                       expected.rank()));
  }
  if (!compatible(got, expected)) {
    throw TypeError(what + fmt::format(": {} has the static shape {}, expected {}", describe(expression),
                                       to_string(got.shape), to_string(expected.shape)));
  }
}

Replacements checked_givens(const FunctionDefinition& definition, const std::vector<Given>& givens) {
  Replacements replacements;
  for (const Given& given : givens) {
    const std::string intro = in_function(definition) + "givens: ";
    if (!given.variable) throw TypeError(intro + "the variable to replace is empty");
    if (!given.replacement.variable()) throw TypeError(intro + "the replacement is empty");
    const std::string what = intro + "in the place of " + describe(given.variable);
    for (std::size_t i = 0; i < definition.inputs.size(); ++i) {
      if (definition.inputs[i].variable() == given.variable) {
        throw ValueError(what + fmt::format(", which is input {}: a variable is either an input or replaced "
                                            "by givens",
                                            i));
      }
    }
    const Variable replacement = with_dtype_of(given.variable, given.replacement);
    check_types(what, given.variable, replacement);
    if (!replacements.emplace(given.variable, replacement).second) {
      throw ValueError(what + ": two replacements were given");
    }
  }
  return replacements;
}

/// Inputs that are expressions are cut out of the graph: an input of the graph stands for each.
Replacements cut_expressions(const std::vector<In>& inputs, std::vector<Variable>& graph_inputs) {
  Replacements cuts;
  for (const In& input : inputs) {
    Variable variable = input.variable();
    if (!variable.is_input()) {
      Variable fresh(Node::make_input(variable.type(), variable.name(), variable.node()->where()));
      cuts.emplace(variable, fresh);
      variable = fresh;
    }
    graph_inputs.push_back(variable);
  }
  return cuts;
}

class UpdateList {
 public:
  explicit UpdateList(FunctionDefinition& definition) : definition_(definition) {}

  void add(const Variable& target, const Operand& operand, bool is_default) {
    if (!target) throw TypeError(in_function(definition_) + "updates: an update's target is empty");
    if (!target.is_shared()) {
      throw TypeError(in_function(definition_) + "updates: " + describe(target) +
                      " is not a shared variable, only these can be updated");
    }
    const std::string what =
        in_function(definition_) + (is_default ? "default update of " : "update of ") + describe(target);
    if (!operand.variable()) throw TypeError(what + ": the expression is empty");
    if (!targets_.insert(target.node()->cell().get()).second) {
      throw ValueError(what + ": it has an update already");
    }
    const Variable expression = with_dtype_of(target, operand);
    check_types(what, target, expression);
    definition_.updated.emplace_back(target);
    expressions.push_back(expression);
  }

  bool has(const SharedCell* cell) const { return targets_.contains(cell); }
  std::vector<Variable> expressions;

 private:
  FunctionDefinition& definition_;
  std::unordered_set<const SharedCell*> targets_;
};

/// Adds the default updates of the shared variables that the graph needs; their expressions may need more.
void add_default_updates(UpdateList& updates, std::vector<Variable> wanted,
                         const Replacements& replacements) {
  std::unordered_set<const SharedCell*> seen;
  while (!wanted.empty()) {
    const std::vector<Variable> reached = replacements.empty() ? wanted : clone(wanted, replacements);
    wanted.clear();
    const auto visit = [&](const Variable& v) {
      if (!v.is_shared() || !seen.insert(v.node()->cell().get()).second) return;
      const Variable expression = v.node()->cell()->default_update(v);
      if (!expression || updates.has(v.node()->cell().get())) return;
      updates.add(v, expression, true);
      wanted.push_back(expression);
    };
    for (const Variable& v : reached) visit(v);
    for (const Node* node : topological_order(reached)) {
      for (const Variable& input : node->inputs()) visit(input);
    }
  }
}

void check_used(const FunctionDefinition& definition, OnUnusedInput policy) {
  if (policy == OnUnusedInput::ignore) return;
  for (std::size_t i = 0; i < definition.inputs.size(); ++i) {
    if (definition.graph->client_count(definition.graph->inputs()[i]) > 0) continue;
    const std::string message =
        in_function(definition) +
        fmt::format(
            "input {} (counted from 0), {}, is not needed by any output or update; leave it out, or "
            "set on_unused_input to warn or ignore",
            i, describe(definition.inputs[i].variable()));
    if (policy == OnUnusedInput::raise) throw UnusedInputError(message);
    warn_once(message);
  }
}

/// The flag warn_float64: in the order of evaluation, the first value that is float64.
void warn_of_float64(const FunctionDefinition& definition) {
  const WarnFloat64 policy = config().warn_float64();
  if (policy == WarnFloat64::ignore) return;
  const auto find = [&]() -> Variable {
    for (const Variable& input : definition.graph->inputs()) {
      if (input.dtype() == DType::float64) return input;
    }
    for (const Node* node : definition.graph->topological_order()) {
      for (const Variable& input : node->inputs()) {
        if (input.dtype() == DType::float64) return input;
      }
      for (std::size_t i = 0; i < node->output_count(); ++i) {
        if (node->type(i).dtype == DType::float64) return node->output(i);
      }
    }
    return {};
  };
  const Variable found = find();
  if (!found) return;
  const std::string message =
      in_function(definition) +
      fmt::format("{} is float64 (the flag warn_float64): cast it where it comes in", describe(found));
  if (policy == WarnFloat64::raise) throw TypeError(message);
  warn_once(message);
}

/// Starts the device while its libraries are opened.
void place(FunctionDefinition& definition, const std::string& device) {
  const auto start = std::chrono::steady_clock::now();
  if (device != "cpu" && device != "auto") start_cuda_libraries(*definition.graph);
  definition.device = choose_device(device);
  if (definition.device.is_host()) return;
  start_cuda_libraries(*definition.graph, definition.device);
  definition.device_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

FunctionDefinition define_function(const std::vector<In>& inputs, const OutputList& outputs,
                                   const FunctionOptions& options, SourceLocation where) {
  FunctionDefinition definition{.name = options.name.empty() ? to_string(where) : options.name,
                                .where = where,
                                .mode = options.mode ? *options.mode : default_mode(),
                                .inputs = inputs,
                                .output_names = {},
                                .updated = {},
                                .graph = nullptr,
                                .allow_input_downcast = options.allow_input_downcast,
                                .device = {}};
  check_inputs(definition);
  Replacements replacements = checked_givens(definition, options.givens);

  std::vector<Variable> wanted;
  for (const Out& output : outputs.list()) {
    if (!output.variable()) {
      throw TypeError(in_function(definition) + fmt::format("output {} is an empty Variable", wanted.size()));
    }
    wanted.push_back(output.variable());
    definition.output_names.push_back(output.name().empty() ? output.variable().name() : output.name());
  }
  UpdateList updates(definition);
  for (const Update& update : options.updates) updates.add(update.target, update.expression, false);
  std::vector<Variable> all = wanted;
  all.insert(all.end(), updates.expressions.begin(), updates.expressions.end());
  if (!options.no_default_updates) add_default_updates(updates, all, replacements);
  wanted.insert(wanted.end(), updates.expressions.begin(), updates.expressions.end());

  std::vector<Variable> graph_inputs;
  const Replacements cuts = cut_expressions(inputs, graph_inputs);
  if (!cuts.empty()) {
    for (auto& [variable, replacement] : replacements) {
      replacement = clone(std::span(&replacement, 1), cuts).front();
    }
    replacements.insert(cuts.begin(), cuts.end());
  }
  try {
    definition.graph = std::make_unique<FunctionGraph>(graph_inputs, wanted, replacements);
  } catch (const MissingInputError& e) {
    throw MissingInputError(in_function(definition) + e.what());
  }
  check_used(definition, options.on_unused_input.value_or(config().on_unused_input()));
  warn_of_float64(definition);
  if (definition.mode.name() != ModeName::None)  // the reference evaluator works on the host
    place(definition, options.device.empty() ? std::string(config().device()) : options.device);
  check_cudnn(definition.mode.query(), definition.device);
  return definition;
}

}  // namespace croton
