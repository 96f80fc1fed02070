#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/graph/shared_variable.h"
#include "croton/runtime/cuda_plan.h"
#include "croton/runtime/output_record.h"
#include "croton/runtime/result_pool.h"
#include "croton/runtime/spin_lock.h"
#include "croton/runtime/step.h"
#include "croton/runtime/step_times.h"
#include "croton/runtime/trace.h"

namespace croton {

class NodeObserver;

/// A graph of known shapes, ready to run: its steps in order, the place of every buffer. Immutable but for
/// its pool of instances; any number of calls may run it at once.
class Plan {
 public:
  /// A result, or the new value of a shared variable, in a block of its own.
  struct Result {
    TensorType type;
    Ref<ResultPool> pool;
    std::vector<Step::Patch> patches;
    bool is_fetched = false;  // copied from a device while the call returns
  };
  /// A new value of a shared variable.
  struct UpdateTarget {
    std::size_t update = 0;  // position among the function's updates
    /// Position among the results; computed over the old value when there is none.
    std::optional<std::size_t> result;
  };
  /// A pointer into the arena.
  struct ArenaPointer {
    std::uint32_t slot = 0;
    std::size_t offset = 0;
  };

  /// A node as a profile shows it.
  struct NodeWork {
    const Node* node = nullptr;
    std::vector<Layout> inputs, outputs;
    std::vector<std::size_t> steps;
  };

  /// A value that lies in memory of the plan, from the step that makes it to the last that touches it.
  struct Block {
    const Node* node = nullptr;  // the first that writes to it; null for scratch memory of a step
    std::size_t bytes = 0;
    std::size_t first_step = 0, last_step = 0;
    bool is_result = false;  // in a block of its own, not in the arena
  };
  /// A node that computes over an input: the memory that it does without.
  struct Reuse {
    std::size_t bytes = 0;
    std::size_t first_step = 0, last_step = 0;  // how long it would need them
  };

  /// What a pointer points into, for people.
  struct SlotUse {
    enum class Kind : std::uint8_t { arena, input, shared, constant, view, result };
    Kind kind = Kind::arena;
    Device device;
    std::uint32_t index = 0;
    std::ptrdiff_t offset = 0;  // bytes
  };

  /// A piece of an arena that steps write; of a plan with guards around them.
  struct Buffer {
    Device device;
    std::size_t offset = 0, bytes = 0;
  };

  /// Where a variable of the graph lies.
  struct StoredValue {
    Variable variable;
    SlotUse use;
    std::size_t bytes = 0;
  };

  /// The memory of one call: an arena and the pointers of all steps.
  struct Instance {
    StorageRef arena;
    std::vector<void*> slots;
    std::vector<StorageRef> blocks;  // of the results, while the call runs
    std::vector<Tensor> copies;      // of shared values that lie elsewhere than needed, while the call runs
    CudaPlan::Instance cuda;
    Instance* next = nullptr;
  };

  /// What a call brings.
  struct Call {
    const Tensor* const* inputs;       // contiguous, in the graph's order
    SharedCell* const* shared;         // locked as the function needs, in the graph's order
    SharedCell* const* updated;        // locked exclusively, in the order of updates
    OutputRecord* outputs;             // gets the function's results
    const std::string* function_name;  // for errors
    bool is_counted = false;           // by the profile of the function
    bool is_measured = false;          // its steps are timed
  };

  Plan() = default;
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  /// The values of the shared variables lie where the plan needs them; if not, place_shared puts them there.
  bool shared_in_place(SharedCell* const* shared) const {
    return cuda_ == nullptr || shared_on_devices(shared);
  }
  /// For cells that are locked exclusively. Throws DeviceError where the flag transfers forbids it.
  void place_shared(SharedCell* const* shared, const std::string& function_name) const;

  /// Runs all steps, fills the outputs and stores the updates. What a step throws is completed with its node,
  /// the shapes and the user's line; shared variables are then as they were.
  void run(const Call& call);

  const FunctionGraph& graph() const { return *graph_; }
  const std::shared_ptr<const FunctionGraph>& shared_graph() const { return graph_; }
  const std::vector<std::unique_ptr<Step>>& steps() const { return steps_; }
  /// Memory of one running call: for intermediate values, and for results and new values of shared variables.
  std::size_t arena_bytes() const { return arena_bytes_; }
  std::size_t result_bytes() const;
  /// The nodes with their steps and shapes; kept when the function is profiled.
  const std::vector<NodeWork>& work() const { return work_; }
  /// The memory over time; kept likewise.
  const std::vector<Block>& blocks() const { return blocks_; }
  const std::vector<Reuse>& reuses() const { return reuses_; }
  /// Where calls add up their times; null when the function is not profiled.
  StepTimes* times() const { return times_.get(); }
  /// What a pointer of a step points into.
  const SlotUse& slot_use(std::size_t slot) const { return slot_uses_[slot]; }
  /// Every variable that lies somewhere, views too; in no particular order.
  const std::vector<StoredValue>& stored() const { return stored_; }
  /// By device and offset; empty unless the plan was made with guards.
  const std::vector<Buffer>& buffers() const { return buffers_; }
  /// A line a step: its kind, what it computes, on which memory.
  std::string to_text() const;

  /// What it has on devices; null when it needs none.
  const CudaPlan* cuda() const { return cuda_.get(); }

 private:
  friend class PlanBuilder;
  class Lease;

  bool shared_on_devices(SharedCell* const* shared) const;
  std::uint64_t devices_of_call(const Call& call) const;
  void run_observed(Instance& instance, std::size_t& at);
  void run_measured(void** slots, std::size_t& at);
  Instance* take_instance();
  void put_back(Instance* instance) noexcept;
  void point(Instance& instance, const Call& call) const;
  void* address_on_device(Instance& instance, std::size_t shared, Tensor& value) const;

  std::shared_ptr<const FunctionGraph> graph_;
  std::vector<Ref<Node>> nodes_;  // made for this plan beside the graph's
  std::vector<Tensor> constants_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<SlotUse> slot_uses_;  // of every pointer
  std::vector<NodeWork> work_;
  std::vector<Block> blocks_;
  std::vector<Reuse> reuses_;
  std::unique_ptr<StepTimes> times_;
  std::shared_ptr<NodeObserver> observer_;  // null unless the plan is looked at while it runs
  std::vector<Buffer> buffers_;
  std::vector<StoredValue> stored_;
  std::vector<Trace::Label> trace_labels_;  // of the steps, while there is a trace

  std::size_t arena_bytes_ = 0;
  std::vector<void*> fixed_slots_;  // pointers to constants; the others are null
  std::vector<ArenaPointer> arena_pointers_;
  std::vector<std::vector<Step::Patch>> input_patches_;
  std::vector<std::vector<Step::Patch>> shared_patches_;
  std::vector<bool> shared_written_;         // computed in place over the old value
  std::vector<CudaDevice*> shared_devices_;  // where the values lie; null: on the host
  std::vector<Result> results_;              // the function's outputs, then updates
  std::size_t output_count_ = 0;
  std::vector<UpdateTarget> updates_;

  std::unique_ptr<CudaPlan> cuda_;

  mutable SpinLock lock_;
  Instance* free_ = nullptr;
};

/// "arena+64", "input 0", "shared 1+256".
std::string to_string(const Plan::SlotUse& use);

}  // namespace croton
