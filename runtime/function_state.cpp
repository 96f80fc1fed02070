#include "croton/runtime/function_state.h"

#include <fmt/format.h>

#include <chrono>

#include "croton/graph/check_error.h"
#include "croton/graph/error.h"
#include "croton/graph/host_memory.h"
#include "croton/graph/op.h"
#include "croton/graph/test_value.h"
#include "croton/ops/evaluate.h"
#include "croton/optimizer/optimizer.h"
#include "croton/runtime/debug_report.h"
#include "croton/runtime/run_error.h"
#include "croton/runtime/specialization.h"

namespace croton {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Function::State::State(FunctionDefinition the_definition, double build_seconds, bool profiled)
    : definition(std::move(the_definition)),
      is_profiled(profiled),
      records_(new OutputRecords(definition.output_names)),
      skips_first_call_(config().profiling_ignore_first_call()),
      sampler_(Trace::active() != nullptr) {
  times_.device = definition.device_seconds;
  times_.build = build_seconds - definition.device_seconds;
  const Clock::time_point start = Clock::now();
  for (const Variable& v : definition.graph->shared()) cells_.push_back(v.node()->cell().get());
  for (const SharedVariable& v : definition.updated) updated_cells_.push_back(v.cell().get());
  locks_ = CellLockList(cells_, updated_cells_);
  all_exclusive_ = CellLockList({}, cells_);
  prepare_checks();
  is_checked_ = debug_ != nullptr || observer_ != nullptr || steady_ != nullptr;
  optimize(*definition.graph, definition.mode.query(), &rewriting_);
  times_.optimize = seconds_since(start);
  if (Trace* trace = Trace::active(); is_profiled && trace != nullptr) {
    trace_label_ = trace->label(definition.name, {{"function", definition.name}});
    const auto build = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * build_seconds));
    std::vector<std::pair<std::string, double>> phases{{"build " + definition.name, build_seconds}};
    for (const OptimizerReport::Phase& phase : rewriting_.phases)
      phases.emplace_back(std::string(phase.name), phase.seconds);
    trace->phases(start - build, phases);
  }
}

Outputs Function::State::call(const Arguments& arguments) {
  Measuring measuring;
  measuring.is_counted = is_profiled && !(skips_first_call_.load(std::memory_order_relaxed) &&
                                          skips_first_call_.exchange(false, std::memory_order_relaxed));
  measuring.is_on = measuring.is_counted && sampler_.begin();
  if (measuring.is_on) measuring.start = Clock::now();
  Ref<OutputRecord> record = records_->take();
  {
    std::shared_ptr<Plan> misplaced = run(arguments, *record, false, measuring);
    // Somebody else may put them elsewhere meanwhile: in the end the call copies them for itself.
    for (int attempts = 2; misplaced != nullptr; --attempts) {
      {
        const CellLockList::Guard guard(all_exclusive_);
        misplaced->place_shared(cells_.data(), definition.name);
      }
      misplaced = run(arguments, *record, attempts == 0, measuring);
    }
  }
  if (measuring.is_on) {
    const Clock::time_point end = Clock::now();
    const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(end - measuring.start);
    sampler_.end(time.count(), measuring.stretches);
    if (Trace* trace = Trace::active()) trace->slice(trace_label_, measuring.start, end);
  }
  return Outputs(std::move(record));
}

/// Null when it ran; the plan, when shared variables do not lie where it needs them.
std::shared_ptr<Plan> Function::State::run(const Arguments& arguments, OutputRecord& outputs,
                                           bool wherever_shared_lie, Measuring& measuring) {
  const CellLockList::Guard guard(locks_);
  if (definition.mode.name() == ModeName::None) {
    evaluate(arguments, outputs);
    return nullptr;
  }
  if (is_checked_) return call_checked(arguments, outputs, wherever_shared_lie, measuring);
  bool is_new = false;
  std::shared_ptr<Plan> plan = find_plan(arguments.begin(), is_new);
  if (!wherever_shared_lie && !plan->shared_in_place(cells_.data())) return plan;
  if (measuring.is_on && is_new) measuring.start = Clock::now();  // compiling is told apart
  plan->run({arguments.begin(), cells_.data(), updated_cells_.data(), &outputs, &definition.name,
             measuring.is_counted, measuring.is_on});
  measuring.stretches += plan->steps().size();
  return nullptr;
}

void Function::State::prepare_checks() {
  if (config().allocations() != Allocations::allow) {
    steady_ = std::make_unique<SteadyWatch>(config().allocations());
  }
  if (!definition.mode.is_checking()) return;
  if (definition.mode.name() == ModeName::NanGuardMode) observer_ = make_nan_guard();
  if (definition.mode.name() == ModeName::MonitorMode) observer_ = make_monitor(definition.mode.monitor());
  original_ = copy_of(*definition.graph);
  if (observer_ == nullptr) {
    debug_ = std::make_unique<DebugChecker>(definition, *original_, cells_, updated_cells_);
  }
}

/// DebugMode, NanGuardMode, MonitorMode.
std::shared_ptr<Plan> Function::State::call_checked(const Arguments& arguments, OutputRecord& outputs,
                                                    bool wherever_shared_lie, Measuring& measuring) {
  const NoTestValues no_test_values;
  const auto report = [&](const std::exception& e) {
    return e.what() + write_debug_report(definition, *original_, arguments.begin(), e.what());
  };
  try {
    DebugChecker::Expected expected;
    if (debug_ != nullptr) expected = debug_->check(arguments.begin());
    bool is_new = false;
    std::shared_ptr<Plan> plan = find_plan(arguments.begin(), is_new);
    // DebugMode copies them: what it has checked is this call.
    if (debug_ == nullptr && !wherever_shared_lie && !plan->shared_in_place(cells_.data())) return plan;
    if (measuring.is_on && is_new) measuring.start = Clock::now();
    const std::uint64_t blocks = blocks_allocated();
    plan->run({arguments.begin(), cells_.data(), updated_cells_.data(), &outputs, &definition.name,
               measuring.is_counted, measuring.is_on});
    measuring.stretches += plan->steps().size();
    if (steady_ != nullptr) steady_->add_call(*plan, blocks_allocated() - blocks, definition.name);
    if (debug_ != nullptr) debug_->check_results(expected, outputs, plan->to_text());
    return nullptr;
  } catch (const NanGuardError& e) {
    throw NanGuardError(report(e));
  } catch (const BadOptimization& e) {
    throw BadOptimization(report(e));
  } catch (const BadThunkOutput& e) {
    throw BadThunkOutput(report(e));
  } catch (const BadDestroyMap& e) {
    throw BadDestroyMap(report(e));
  } catch (const BadViewMap& e) {
    throw BadViewMap(report(e));
  } catch (const InvalidValueError& e) {
    throw InvalidValueError(report(e));
  } catch (const BadGradient& e) {
    throw BadGradient(report(e));
  } catch (const StochasticOrder& e) {
    throw StochasticOrder(report(e));
  }
}

/// The mode None: the graph as it was built, by the reference evaluator.
void Function::State::evaluate(const Arguments& arguments, OutputRecord& outputs) {
  const FunctionGraph& graph = *definition.graph;
  const std::vector<Tensor> results =
      croton::evaluate(graph.outputs(), values_of_call(graph, arguments.begin(), cells_.data()));
  const std::size_t count = outputs.tensors().size();
  for (std::size_t j = 0; j < definition.updated.size(); ++j) {
    const Tensor& value = results[count + j];
    check_new_value(definition.updated[j], {value.dtype(), value.shape()});
  }
  for (std::size_t i = 0; i < count; ++i) outputs.tensors()[i] = results[i].copy();
  for (std::size_t j = 0; j < definition.updated.size(); ++j) {
    updated_cells_[j]->value() = results[count + j].copy();
  }
}

std::shared_ptr<Plan> Function::State::find_plan(const Tensor* const* inputs, bool& is_new) {
  std::shared_ptr<Plan> plan;
  const std::shared_ptr<const ShapeSignature> signature = plans.find(inputs, cells_.data(), plan);
  if (plan != nullptr) return plan;
  if (signature != nullptr) {
    ExtentKey key;
    signature->extents->find(inputs, cells_.data(), key);
    plan = plans.find(*signature, key.values());
    if (plan != nullptr) return plan;
  }
  is_new = true;
  return make_plan(inputs, true);
}

void Function::State::specialize_graph(FunctionGraph& graph, const ShapeSignature& signature) {
  OptimizerReport report;
  specialize_function(graph, definition, updated_cells_, signature.devices, &report);
  rewriting_.add(report);
}

std::shared_ptr<Plan> Function::State::make_plan(const Tensor* const* inputs, bool has_values) {
  const NoTestValues no_test_values;
  const std::lock_guard guard(making_);
  // Another thread may have made it meanwhile.
  PlanCache::Entry entry;
  entry.signature = plans.find(inputs, cells_.data(), entry.plan);
  if (entry.plan != nullptr) return entry.plan;

  const Clock::time_point start = Clock::now();
  const CompileTimes before = times_;
  std::unique_ptr<FunctionGraph> graph;
  if (entry.signature == nullptr) {
    auto signature = std::make_shared<ShapeSignature>();
    for (std::size_t i = 0; i < definition.inputs.size(); ++i)
      signature->inputs.push_back(inputs[i]->shape());
    if (!definition.device.is_host()) {
      signature->takes_devices = true;
      for (std::size_t i = 0; i < definition.inputs.size(); ++i)
        signature->devices.push_back(inputs[i]->device());
    }
    for (SharedCell* cell : cells_) signature->shared.push_back(cell->value().shape());
    graph = typed_graph(*definition.graph, inputs, cells_.data());
    auto extents = std::make_unique<Extents>(*graph, definition.name);
    if (!extents->empty()) {
      signature->extents = std::move(extents);
      signature->typed = std::move(graph);
    }
    entry.signature = std::move(signature);
  }
  const ShapeSignature& signature = *entry.signature;
  if (signature.extents != nullptr) {
    if (!has_values) throw NeedsValues();
    ExtentKey key;
    signature.extents->find(inputs, cells_.data(), key);
    if (const auto plan = plans.find(signature, key.values())) return plan;
    entry.extents.assign(key.values().begin(), key.values().end());
    graph = signature.extents->resolve(inputs, cells_.data());
  }
  specialize_graph(*graph, signature);
  times_.specialize += seconds_since(start);

  const std::shared_ptr<const FunctionGraph> specialized(std::move(graph));
  entry.plan = build_plan(specialized, [&](const Variable& variable) {
    if (!has_values) throw NeedsValues();
    return croton::evaluate(variable, values_of_call(*specialized, inputs, cells_.data()));
  });
  if (Trace* trace = Trace::active(); is_profiled && trace != nullptr) {
    trace->phases(start, {{"specialize " + definition.name, times_.specialize - before.specialize},
                          {"lower", times_.lower - before.lower},
                          {"machine code", times_.compile - before.compile},
                          {"plan", times_.plan - before.plan}});
  }
  std::shared_ptr<Plan> plan = entry.plan;
  if (const auto evicted = plans.insert(std::move(entry))) add_rows(*evicted, retired_rows_);
  return plan;
}

std::shared_ptr<Plan> Function::State::build_plan(std::shared_ptr<const FunctionGraph> graph,
                                                  const std::function<Tensor(const Variable&)>& value_of) {
  for (std::size_t j = 0; j < definition.updated.size(); ++j) {
    check_new_value(definition.updated[j], graph->outputs()[definition.output_names.size() + j].type());
  }
  PlanRequest request{.graph = std::move(graph),
                      .output_count = definition.output_names.size(),
                      .updated = {updated_cells_.begin(), updated_cells_.end()},
                      .value_of = value_of,
                      .threads = ThreadPool::instance().threads(),
                      .is_quick = definition.mode.name() == ModeName::FAST_COMPILE,
                      .profile = is_profiled,
                      .name = definition.name};
  request.checks.observer = observer_;
  PlanTimes times;
  std::shared_ptr<Plan> plan = PlanBuilder(std::move(request)).build(times);
  times_.lower += times.lower;
  times_.compile += times.compile;
  times_.plan += times.plan;
  return plan;
}

std::shared_ptr<Plan> Function::State::plan_shapes(std::span<const Shape> shapes) {
  std::vector<Tensor> tensors;  // only their shapes are looked at
  const StorageRef nothing = make_host_storage(0);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    tensors.emplace_back(nothing, definition.graph->inputs()[i].dtype(), shapes[i],
                         contiguous_strides(shapes[i]));
  }
  std::vector<const Tensor*> pointers;
  for (const Tensor& tensor : tensors) pointers.push_back(&tensor);
  const CellLockList::Guard guard(locks_);
  return make_plan(pointers.data(), false);
}

std::shared_ptr<Plan> Function::State::plan_for(std::span<const Shape> shapes) {
  const std::vector<Variable>& inputs = definition.graph->inputs();
  if (shapes.size() != inputs.size()) {
    throw ValueError(fmt::format("function '{}' has {} inputs, got {} shapes", definition.name, inputs.size(),
                                 shapes.size()));
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (compatible({inputs[i].dtype(), shapes[i]}, inputs[i].type()) && shapes[i].is_known()) continue;
    throw ShapeError(fmt::format("function '{}': input {}, {}, cannot have shape {}", definition.name, i,
                                 describe(definition.inputs[i].variable()), to_string(shapes[i])));
  }
  if (definition.mode.name() == ModeName::None) return nullptr;
  try {
    return plan_shapes(shapes);
  } catch (const NeedsValues&) {
    throw ValueError(
        fmt::format("function '{}': what runs depends on the values of its arguments, not only on "
                    "their shapes; call it, then ask for the graph that ran last",
                    definition.name));
  }
}

void Function::State::plan_static_shapes() {
  if (definition.mode.name() == ModeName::None) return;
  std::vector<Shape> shapes;
  for (const Variable& input : definition.graph->inputs()) {
    if (!input.type().shape.is_known()) return;
    shapes.push_back(input.type().shape);
  }
  for (const Variable& variable : definition.graph->shared()) {
    if (!variable.type().shape.is_known()) return;
  }
  try {
    plan_shapes(shapes);
  } catch (const NeedsValues&) {
    // The first call brings them.
  }
}

/// A shared variable whose type fixes extents takes no value of others.
void Function::State::check_new_value(const Variable& target, const TensorType& value) const {
  if (compatible(value, target.type())) return;
  throw ShapeError(
      fmt::format("function '{}': the new value of {} has shape {}; the variable's shape is fixed",
                  definition.name, describe(target), to_string(value.shape)));
}

}  // namespace croton
