#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "croton/optimizer/report.h"
#include "croton/runtime/arguments.h"
#include "croton/runtime/call_sampler.h"
#include "croton/runtime/cell_locks.h"
#include "croton/runtime/debug_mode.h"
#include "croton/runtime/function.h"
#include "croton/runtime/function_definition.h"
#include "croton/runtime/output_record.h"
#include "croton/runtime/plan_builder.h"
#include "croton/runtime/plan_cache.h"
#include "croton/runtime/steady_watch.h"
#include "croton/runtime/trace.h"

namespace croton {

/// A function: its definition, the plans made so far, and how a call finds its plan.
struct Function::State {
 public:
  State(FunctionDefinition definition, double build_seconds, bool is_profiled);

  Outputs call(const Arguments& arguments);
  /// The plan for these shapes, made when there is none. ValueError where it depends on values too.
  std::shared_ptr<Plan> plan_for(std::span<const Shape> shapes);
  /// Makes the plan at once when all shapes are known to the types and nothing depends on values.
  void plan_static_shapes();
  CompileTimes times() const;
  Profile profile() const;

  const FunctionDefinition definition;
  PlanCache plans;
  const bool is_profiled;

 private:
  /// Of a call that may be one of those that are measured.
  struct Measuring {
    bool is_counted = false;
    bool is_on = false;
    std::chrono::steady_clock::time_point start;
    std::size_t stretches = 1;  // that are measured
  };
  std::shared_ptr<Plan> run(const Arguments& arguments, OutputRecord& outputs, bool wherever_shared_lie,
                            Measuring& measuring);
  void evaluate(const Arguments& arguments, OutputRecord& outputs);
  void prepare_checks();
  std::shared_ptr<Plan> call_checked(const Arguments& arguments, OutputRecord& outputs,
                                     bool wherever_shared_lie, Measuring& measuring);
  std::shared_ptr<Plan> find_plan(const Tensor* const* inputs, bool& is_new);
  struct NeedsValues {};
  std::shared_ptr<Plan> plan_shapes(std::span<const Shape> shapes);
  std::shared_ptr<Plan> make_plan(const Tensor* const* inputs, bool has_values);
  std::shared_ptr<Plan> build_plan(std::shared_ptr<const FunctionGraph> graph,
                                   const std::function<Tensor(const Variable&)>& value_of);
  void specialize_graph(FunctionGraph& graph, const ShapeSignature& signature);
  void check_new_value(const Variable& target, const TensorType& value) const;
  static void add_rows(const Plan& plan, std::vector<Profile::Row>& rows);

  std::shared_ptr<NodeObserver> observer_;         // NanGuardMode, MonitorMode
  std::unique_ptr<const FunctionGraph> original_;  // before optimization, for these modes
  bool is_checked_ = false;                        // any of these is there
  std::unique_ptr<SteadyWatch> steady_;            // the flag allocations
  std::unique_ptr<DebugChecker> debug_;            // DebugMode
  std::vector<SharedCell*> cells_;                 // of the graph's shared variables
  std::vector<SharedCell*> updated_cells_;         // of the updates
  CellLockList locks_;
  CellLockList all_exclusive_;  // of cells_
  Ref<OutputRecords> records_;

  mutable std::mutex making_;  // plans are made one at a time; guards what follows
  CompileTimes times_;
  OptimizerReport rewriting_;
  std::vector<Profile::Row> retired_rows_;  // of plans that had to go
  std::atomic<bool> skips_first_call_;      // of profiles
  CallSampler sampler_;
  Trace::Label trace_label_ = 0;
};

}  // namespace croton
