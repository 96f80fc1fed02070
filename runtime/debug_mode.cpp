#include "croton/runtime/debug_mode.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/check_error.h"
#include "croton/graph/debugprint.h"
#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/ops/evaluate.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/debug_gradients.h"
#include "croton/runtime/debug_memory.h"
#include "croton/runtime/extents.h"
#include "croton/runtime/node_text.h"
#include "croton/runtime/plan_builder.h"
#include "croton/runtime/specialization.h"

namespace croton {

namespace {

constexpr std::size_t guard_bytes = 256;
/// Of memory contents in the runs behind the first.
constexpr std::uint64_t other_pattern = 0x5eed;
constexpr int most_ranges = 4;

template <class E>
[[noreturn]] void raise(const std::string& text) {
  throw E("DebugMode: " + text);
}

}  // namespace

/// One run of the specialised graph.
struct DebugChecker::Run {
  std::shared_ptr<StepChecker> steps;
  std::shared_ptr<Plan> plan;  // has nodes of its own, which faults may name
  std::vector<Tensor> outputs, updates;
};

DebugChecker::DebugChecker(const FunctionDefinition& definition, const FunctionGraph& original,
                           std::vector<SharedCell*> cells, std::vector<SharedCell*> updated)
    : definition_(definition), original_(original), cells_(std::move(cells)), updated_(std::move(updated)) {
  optimize(*copy_of(original_), definition_.mode.query(), nullptr, &trace_);
}

DebugChecker::Expected DebugChecker::check(const Tensor* const* inputs) {
  const std::lock_guard guard(mutex_);
  Expected expected;
  const std::shared_ptr<const FunctionGraph> graph = check_rewrites(inputs);
  check_steps(graph, inputs, expected);
  for (SharedCell* cell : updated_) expected.old_values.push_back(cell->value().copy());
  return expected;
}

/// The specialised graph of the call, made with every rewrite compared.
std::shared_ptr<const FunctionGraph> DebugChecker::check_rewrites(const Tensor* const* inputs) {
  const std::unique_ptr<FunctionGraph> general = copy_of(original_);
  RewriteChecker rewrites(values_of_call(*general, inputs, cells_.data()));
  if (!gradients_checked_ && config().debug_check_gradients()) {
    try {
      check_gradients(*general, rewrites);
    } catch (const BadGradient& e) {
      raise<BadGradient>(e.what());
    }
    gradients_checked_ = true;
  }
  try {
    optimize(*general, definition_.mode.query(), nullptr, &rewrites);
    if (rewrites.lines() != trace_.lines()) {
      std::size_t at = 0;
      const auto line = [&](const std::vector<std::string>& lines) {
        return at < lines.size() ? lines[at] : "nothing";
      };
      while (at < rewrites.lines().size() && at < trace_.lines().size() &&
             rewrites.lines()[at] == trace_.lines()[at]) {
        ++at;
      }
      raise<StochasticOrder>(
          fmt::format("function '{}' was optimized twice in two ways; change {} was first\n  {}\nthen\n  {}",
                      definition_.name, at, line(trace_.lines()), line(rewrites.lines())));
    }
    std::unique_ptr<FunctionGraph> typed = typed_graph(*general, inputs, cells_.data());
    const Extents extents(*typed, definition_.name);
    if (!extents.empty()) {
      std::unique_ptr<FunctionGraph> resolved = extents.resolve(inputs, cells_.data());
      typed = std::move(resolved);
    }
    RewriteChecker specific(values_of_call(*typed, inputs, cells_.data()));
    compare_typed(*general, rewrites, *typed, specific);
    specialize_function(*typed, definition_, updated_, {}, nullptr, &specific);
    return typed;
  } catch (const BadOptimization& e) {
    raise<BadOptimization>(e.what());
  } catch (const InvalidValueError& e) {
    raise<InvalidValueError>(e.what());
  }
}

/// Knowing the shapes changes no value.
void DebugChecker::compare_typed(const FunctionGraph& general, RewriteChecker& before,
                                 const FunctionGraph& typed, RewriteChecker& after) const {
  for (std::size_t i = 0; i < general.outputs().size(); ++i) {
    const Tensor* expected = before.value_of(general.outputs()[i]);
    const Tensor* got = after.value_of(typed.outputs()[i]);
    if (expected == nullptr || got == nullptr) continue;
    Tolerance tolerance = tolerance_of(expected->dtype());
    tolerance.relative *= 100;
    tolerance.absolute *= 100;
    tolerance.magnitude = std::max(1.0, magnitude_of(*expected));
    tolerance.only_finite = true;
    const auto difference = compare_values(*expected, *got, tolerance);
    if (difference) {
      raise<BadOptimization>(fmt::format("output {} of function '{}' changes when the shapes are put in: {}",
                                         i, definition_.name, difference->text()));
    }
  }
}

DebugChecker::Run DebugChecker::run(const std::shared_ptr<const FunctionGraph>& graph,
                                    const Tensor* const* inputs, std::size_t number,
                                    std::uint64_t pattern) const {
  // The first two runs differ in what the memory holds, and in nothing else.
  const bool varies = number >= 2;
  constexpr GuardedLeaves::Strides strides[] = {GuardedLeaves::Strides::padded,
                                                GuardedLeaves::Strides::reversed,
                                                GuardedLeaves::Strides::columns_first};
  const GuardedLeaves leaves(std::span(inputs, original_.inputs().size()), cells_,
                             varies ? strides[number % 3] : GuardedLeaves::Strides::contiguous,
                             varies ? 8 * (number - 1) % 64 : 0);
  const int threads = varies ? most_ranges : ThreadPool::instance().threads();
  Run run;
  run.steps = std::make_shared<StepChecker>(
      StepChecker::Options{.pattern = pattern, .ranges = threads, .outside = leaves.memory()});
  PlanRequest request{.graph = graph,
                      .output_count = definition_.output_names.size(),
                      .updated = {updated_.begin(), updated_.end()},
                      .value_of =
                          [&](const Variable& variable) {
                            return croton::evaluate(variable, values_of_call(*graph, inputs, cells_.data()));
                          },
                      .threads = threads,
                      .profile = false,
                      .name = definition_.name,
                      .checks = {.observer = run.steps,
                                 .guard_bytes = guard_bytes,
                                 .misalignment = varies ? 8 * (number - 1) % 64 : 0,
                                 .order_seed = varies ? number : 0,
                                 .input_strides = leaves.input_strides()}};
  PlanTimes times;
  run.plan = PlanBuilder(std::move(request)).build(times);
  const Ref<OutputRecords> records(new OutputRecords(definition_.output_names));
  const Ref<OutputRecord> record = records->take();
  std::vector<std::unique_ptr<SharedCell>> cells;
  std::vector<SharedCell*> updated;
  for (SharedCell* cell : updated_) {
    cells.push_back(std::make_unique<SharedCell>(cell->value()));
    updated.push_back(cells.back().get());
  }
  run.plan->run({leaves.inputs(), leaves.shared(), updated.data(), record.get(), &definition_.name});
  run.outputs = record->tensors();
  for (SharedCell* cell : updated) run.updates.push_back(cell->value());
  return run;
}

void DebugChecker::check_steps(const std::shared_ptr<const FunctionGraph>& graph, const Tensor* const* inputs,
                               Expected& expected) const {
  const Run first = run(graph, inputs, 0, 0);
  const Run second = run(graph, inputs, 1, other_pattern);
  std::vector<StepFault> faults = first.steps->faults();
  faults.insert(faults.end(), second.steps->faults().begin(), second.steps->faults().end());
  for (const auto& [position, result] : first.steps->results()) {
    const StepChecker::Result& other = second.steps->results().at(position);
    std::size_t differs = 0;
    while (differs < result.outputs.size() && same_bits(result.outputs[differs], other.outputs[differs])) {
      ++differs;
    }
    if (differs == result.outputs.size()) continue;
    const Run again = run(graph, inputs, 1, other_pattern);
    const bool repeats =
        same_bits(again.steps->results().at(position).outputs[differs], other.outputs[differs]);
    const auto difference = compare_values(result.outputs[differs], other.outputs[differs], Tolerance{});
    const std::string values = difference ? difference->text() : "bits differ";
    if (repeats) {
      faults.push_back({StepFault::Kind::uninitialised, result.node, position,
                        fmt::format("it reads memory that nothing wrote: output {} follows what the memory "
                                    "held before; {}",
                                    differs, values)});
    } else {
      faults.push_back(
          {StepFault::Kind::not_repeatable, result.node, position,
           fmt::format("the same run twice gives two results in output {}; {}", differs, values)});
    }
    break;  // what comes later may follow from this
  }
  const auto report_first = [&](const Run& of) {
    if (faults.empty()) return;
    const auto worst = std::ranges::min_element(faults, [](const StepFault& a, const StepFault& b) {
      return std::pair(a.position, a.kind) < std::pair(b.position, b.kind);
    });
    fail(*worst,
         of.steps->results().contains(worst->position) ? of.steps->results().at(worst->position).kind : "");
  };
  report_first(first);
  for (std::size_t number = 2; number < 2 + static_cast<std::size_t>(config().debug_patience()); ++number) {
    const Run other = run(graph, inputs, number, other_pattern + number);
    faults = other.steps->faults();
    report_first(other);
  }
  expected.outputs = first.outputs;
  expected.updates = first.updates;
}

void DebugChecker::fail(const StepFault& fault, const std::string& kind) const {
  const Node& node = *fault.node;
  std::string text = kind.empty() ? "" : kind + " ";
  text += fmt::format("{}: {}\n  node {} of function '{}'", node.op().label(node), fault.text, fault.position,
                      definition_.name);
  if (node.where().known()) text += ", made at " + to_string(node.where());
  text += "\n  the graph of the node:\n" +
          debugprint_text({const_cast<Node&>(node).output()}, {.depth = 4,
                                                               .print_type = true,
                                                               .print_destroy_map = true,
                                                               .print_view_map = true,
                                                               .print_rewrites = true});
  if (text.ends_with('\n')) text.pop_back();
  switch (fault.kind) {
    case StepFault::Kind::stray_write:
    case StepFault::Kind::destroyed_input:
      raise<BadDestroyMap>(text);
    case StepFault::Kind::hidden_alias:
      raise<BadViewMap>(text);
    case StepFault::Kind::not_finite:
      raise<InvalidValueError>(text);
    default:
      raise<BadThunkOutput>(text);
  }
}

void DebugChecker::check_results(const Expected& expected, const OutputRecord& outputs,
                                 const std::string& plan_text) const {
  const auto compare = [&](const Tensor& wanted, const Tensor& got, const std::string& what) {
    Tolerance tolerance = tolerance_of(wanted.dtype());
    tolerance.magnitude = magnitude_of(wanted.to_host());
    const auto difference = compare_values(wanted.to_host(), got.to_host(), tolerance);
    if (!difference) return;
    for (std::size_t j = 0; j < updated_.size(); ++j) updated_[j]->value() = expected.old_values[j];
    raise<BadThunkOutput>(fmt::format(
        "{} of function '{}': {}\n  every step alone gives the right value: the order of the plan's steps or "
        "their memory is wrong, or the plan belongs to another call\n{}",
        what, definition_.name, difference->text(), plan_text));
  };
  for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
    compare(expected.outputs[i], outputs.tensors()[i], fmt::format("output {}", i));
    for (std::size_t j = 0; j < i; ++j) {
      if (outputs.tensors()[i].storage() == outputs.tensors()[j].storage()) {
        raise<BadViewMap>(
            fmt::format("outputs {} and {} of function '{}' share their memory", j, i, definition_.name));
      }
    }
  }
  for (std::size_t j = 0; j < expected.updates.size(); ++j) {
    compare(expected.updates[j], updated_[j]->value(),
            fmt::format("the new value of {}", describe(definition_.updated[j])));
  }
}

}  // namespace croton
