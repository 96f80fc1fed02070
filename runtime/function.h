#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/flags.h"
#include "croton/graph/node.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"
#include "croton/runtime/mode.h"
#include "croton/runtime/outputs.h"
#include "croton/runtime/profile.h"

namespace croton {

class FunctionGraph;

/// An input of a function: a variable (where the graph is cut, so it may be an expression too), perhaps with
/// the value that it has when a call gives none.
class CROTON_API In {
 public:
  In(const Variable& variable) : variable_(variable) {}
  In(const Variable& variable, const Tensor& value) : variable_(variable), value_(value) {}

  const Variable& variable() const { return variable_; }
  /// Undefined when a call must give one.
  const Tensor& value() const { return value_; }

 private:
  Variable variable_;
  Tensor value_;
};

/// An output of a function. It has the name of its variable unless another is given.
class CROTON_API Out {
 public:
  Out(const Variable& variable) : variable_(variable) {}
  Out(std::string name, const Variable& variable) : variable_(variable), name_(std::move(name)) {}

  const Variable& variable() const { return variable_; }
  const std::string& name() const { return name_; }

 private:
  Variable variable_;
  std::string name_;
};

/// The outputs of a function: none, one, several ({a, b} or {{"loss", a}, {"error", b}}).
class CROTON_API OutputList {
 public:
  OutputList() = default;
  OutputList(NoneType) {}
  OutputList(const Variable& variable) : list_{Out(variable)} {}
  OutputList(std::initializer_list<Out> list) : list_(list) {}
  OutputList(const std::vector<Variable>& list) : list_(list.begin(), list.end()) {}
  OutputList(std::vector<Out> list) : list_(std::move(list)) {}
  const std::vector<Out>& list() const { return list_; }

 private:
  std::vector<Out> list_;
};

/// A shared variable and the expression whose value it takes after a call.
struct Update {
  Update(const Variable& target, const Operand& expression) : target(target), expression(expression) {}
  Variable target;
  Operand expression;
};

/// A variable and what stands for it in one function.
struct Given {
  Given(const Variable& variable, const Operand& replacement)
      : variable(variable), replacement(replacement) {}
  Variable variable;
  Operand replacement;
};

struct FunctionOptions {
  /// Computed from the old values of all shared variables and stored after the outputs are computed. An
  /// update here replaces the variable's default update.
  std::vector<Update> updates = {};
  /// Exchanged in outputs and updates before anything else. The replacements do not see each other.
  std::vector<Given> givens = {};
  /// Default: default_mode().
  std::optional<Mode> mode = {};
  /// For errors, profiles and printed graphs. Default: the line of the call of function().
  std::string name = {};
  /// What to do about an input that nothing needs. Default: the flag on_unused_input.
  std::optional<OnUnusedInput> on_unused_input = {};
  /// Take arguments whose dtype does not fit without loss (they are converted).
  bool allow_input_downcast = false;
  /// Leave out the default updates of shared variables (random states).
  bool no_default_updates = false;
  /// Measure every node. Default: the flag profile.
  std::optional<bool> profile = {};
  /// Where it runs, as in the flag device, which is the default. Throws DeviceError where that is a GPU that
  /// cannot be used.
  std::string device = {};
};

/// An argument by the name of its input, or by the input itself.
class CROTON_API NamedArgument {
 public:
  NamedArgument(std::string_view name, const Tensor& value) : name_(name), value_(value) {}
  NamedArgument(const char* name, const Tensor& value) : name_(name), value_(value) {}
  NamedArgument(const std::string& name, const Tensor& value) : name_(name), value_(value) {}
  NamedArgument(const Variable& input, const Tensor& value) : input_(input), value_(value) {}

  std::string_view name() const { return name_; }
  /// Empty for an argument given by name.
  const Variable& input() const { return input_; }
  const Tensor& value() const { return value_; }

 private:
  std::string_view name_;
  Variable input_;
  Tensor value_;
};

/// A compiled expression. A handle: copies share everything. May be called from several threads at once;
/// calls that update the same shared variable run one after the other.
class CROTON_API Function {
 public:
  Function() = default;

  /// Arguments by position: tensors, or C++ numbers. A dtype that fits without loss is converted. Throws
  /// TypeError or ShapeError (wrong dtype, rank or extent), MissingInputError (too few), ValueError (too
  /// many, unknown names); a call that throws leaves shared variables as they were.
  template <class... Arguments>
    requires(std::convertible_to<const Arguments&, Tensor> && ...)
  Outputs operator()(const Arguments&... arguments) const {
    if constexpr (sizeof...(Arguments) == 0) {
      return call(nullptr, 0);
    } else if constexpr ((std::same_as<Arguments, Tensor> && ...)) {
      const Tensor* const list[] = {&arguments...};
      return call(list, sizeof...(Arguments));
    } else {
      const Tensor tensors[] = {static_cast<Tensor>(arguments)...};
      return call_all(std::span<const Tensor>(tensors));
    }
  }
  Outputs call_all(std::span<const Tensor> arguments) const;
  /// Arguments by name: f({{"X", images}, {"y", labels}}).
  Outputs operator()(std::initializer_list<NamedArgument> arguments) const;
  Outputs call_named(std::span<const NamedArgument> arguments) const;

  explicit operator bool() const { return state_ != nullptr; }
  const std::string& name() const;
  /// The variables that were given to function().
  std::vector<Variable> inputs() const;
  const std::vector<std::string>& output_names() const;
  /// Where function() was called.
  const SourceLocation& where() const;

  /// The optimized graph for all shapes. Its outputs are the function's outputs, then the new values of the
  /// updated shared variables.
  const FunctionGraph& graph() const;
  /// What of graph().outputs() is an update: the shared variables, in order; the last outputs are theirs.
  const std::vector<SharedVariable>& updated() const;
  /// The graph that ran last, or null when nothing has run yet and shapes are open. A function whose shapes
  /// are all static has one from the start.
  std::shared_ptr<const FunctionGraph> plan_graph() const;
  /// The graph that runs for arguments of these shapes (and the present shapes of shared variables).
  std::shared_ptr<const FunctionGraph> plan_graph(std::span<const Shape> shapes) const;
  std::shared_ptr<const FunctionGraph> plan_graph(std::initializer_list<Shape> shapes) const {
    return plan_graph(std::span<const Shape>(shapes.begin(), shapes.size()));
  }
  /// The plan that ran last, a line a step: what runs, on which memory. Empty when nothing has run.
  std::string plan_text() const;
  /// Where the variables of plan_graph() lie while that plan runs: "arena+128", "shared 0", "result 1".
  std::unordered_map<Variable, std::string> places() const;
  /// Seconds of each node of plan_graph() in all its calls; empty for a function that is not profiled.
  std::unordered_map<const Node*, double> node_seconds() const;
  CompileTimes compile_times() const;
  /// What was measured; ValueError when the function was not made with profile.
  Profile profile() const;

 private:
  struct State;
  friend Function function(const std::vector<In>& inputs, const OutputList& outputs,
                           const FunctionOptions& options, std::source_location where);
  Outputs call(const Tensor* const* arguments, std::size_t count) const;
  State& state() const;
  std::shared_ptr<State> state_;
};

/// Compiles a function from `inputs` to `outputs`. Throws UnusedInputError (an input listed twice, or not
/// needed), MissingInputError (a needed input not listed), TypeError (a constant or shared variable as input,
/// an update or given of another type), ValueError (two updates of one variable).
CROTON_API Function function(const std::vector<In>& inputs, const OutputList& outputs = {},
                             const FunctionOptions& options = {},
                             std::source_location where = std::source_location::current());

/// The value of an expression. Functions made for it are kept, so that evaluating it again is a call.
CROTON_API Tensor eval(const Variable& expression, std::initializer_list<NamedArgument> values = {});
CROTON_API Tensor eval(const Variable& expression, std::span<const NamedArgument> values);

}  // namespace croton
