#include "croton/runtime/function.h"

#include <fmt/format.h>

#include <chrono>

#include "croton/graph/error.h"
#include "croton/runtime/function_state.h"
#include "croton/runtime/process_settings.h"
#include "croton/runtime/profile_report.h"

namespace croton {

Function::State& Function::state() const {
  if (state_ == nullptr) throw ValueError("an empty Function was used: make one with function()");
  return *state_;
}

Outputs Function::call(const Tensor* const* arguments, std::size_t count) const {
  State& own = state();
  Arguments checked(own.definition);
  checked.take(arguments, count);
  return own.call(checked);
}

Outputs Function::call_all(std::span<const Tensor> arguments) const {
  State& own = state();
  Arguments checked(own.definition);
  checked.take(arguments);
  return own.call(checked);
}

Outputs Function::operator()(std::initializer_list<NamedArgument> arguments) const {
  return call_named(std::span(arguments.begin(), arguments.size()));
}

Outputs Function::call_named(std::span<const NamedArgument> arguments) const {
  State& own = state();
  Arguments checked(own.definition);
  checked.take_named(arguments);
  return own.call(checked);
}

const std::string& Function::name() const { return state().definition.name; }
const std::vector<std::string>& Function::output_names() const { return state().definition.output_names; }
const SourceLocation& Function::where() const { return state().definition.where; }
const FunctionGraph& Function::graph() const { return *state().definition.graph; }
const std::vector<SharedVariable>& Function::updated() const { return state().definition.updated; }
CompileTimes Function::compile_times() const { return state().times(); }

std::vector<Variable> Function::inputs() const {
  std::vector<Variable> variables;
  for (const In& input : state().definition.inputs) variables.push_back(input.variable());
  return variables;
}

std::shared_ptr<const FunctionGraph> Function::plan_graph() const {
  const std::shared_ptr<Plan> plan = state().plans.last();
  return plan == nullptr ? nullptr : plan->shared_graph();
}

std::shared_ptr<const FunctionGraph> Function::plan_graph(std::span<const Shape> shapes) const {
  const std::shared_ptr<Plan> plan = state().plan_for(shapes);
  return plan == nullptr ? nullptr : plan->shared_graph();
}

std::string Function::plan_text() const {
  const std::shared_ptr<Plan> plan = state().plans.last();
  return plan == nullptr ? "" : plan->to_text();
}

Profile Function::profile() const {
  if (!state().is_profiled) {
    throw ValueError(
        fmt::format("function '{}' is not profiled: make it with .profile = true, or set the flag "
                    "profile before",
                    name()));
  }
  return state().profile();
}

Function function(const std::vector<In>& inputs, const OutputList& outputs, const FunctionOptions& options,
                  std::source_location where) {
  apply_process_settings();
  const auto start = std::chrono::steady_clock::now();
  FunctionDefinition definition = define_function(inputs, outputs, options, where);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool is_profiled = options.profile.value_or(config().profile());
  Function result;
  result.state_ = std::make_shared<Function::State>(std::move(definition), seconds, is_profiled);

  result.state_->plan_static_shapes();
  if (is_profiled && config().profile()) report_at_exit(result);
  return result;
}

}  // namespace croton
