#include "croton/runtime/function.h"

#include <fmt/format.h>

#include <chrono>

#include "croton/graph/error.h"
#include "croton/graph/test_value.h"
#include "croton/runtime/function_state.h"
#include "croton/runtime/machine_peak.h"
#include "croton/runtime/process_settings.h"
#include "croton/runtime/profile_report.h"
#include "croton/runtime/trace.h"

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

std::unordered_map<Variable, std::string> Function::places() const {
  std::unordered_map<Variable, std::string> places;
  if (const std::shared_ptr<Plan> plan = state().plans.last()) {
    for (const Plan::StoredValue& value : plan->stored())
      places.emplace(value.variable, to_string(value.use));
  }
  return places;
}

std::unordered_map<const Node*, double> Function::node_seconds() const {
  std::unordered_map<const Node*, double> seconds;
  const std::shared_ptr<Plan> plan = state().plans.last();
  if (plan == nullptr || plan->times() == nullptr || plan->times()->measured() == 0) return seconds;
  for (const Plan::NodeWork& work : plan->work()) {
    for (const std::size_t step : work.steps) seconds[work.node] += plan->times()->seconds(step);
  }
  return seconds;
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
  const NoTestValues no_test_values;
  const auto start = std::chrono::steady_clock::now();
  FunctionDefinition definition = define_function(inputs, outputs, options, where);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (const std::string file = config().profiling_trace_file().string(); !file.empty()) trace_to(file);
  const bool is_checking = definition.mode.is_checking();
  if (is_checking && options.profile.value_or(false))
    throw ValueError(
        fmt::format("function '{}': what {} runs beside the function would be measured too; "
                    "profile it in another mode",
                    definition.name, definition.mode.text()));
  const bool is_profiled =
      !is_checking && options.profile.value_or(config().profile() || Trace::active() != nullptr);
  Function result;
  result.state_ = std::make_shared<Function::State>(std::move(definition), seconds, is_profiled);

  result.state_->plan_static_shapes();
  if (is_profiled && config().profile()) {
    machine_peak(result.state_->definition
                     .device);  // not when the program ends, where nothing can be compiled any more
    report_at_exit(result);
  }
  return result;
}

}  // namespace croton
