#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "croton/codegen/lower.h"
#include "croton/runtime/mode.h"
#include "croton/runtime/step.h"

namespace croton {

class Plan;
class CudaDevice;

/// The memory of a call for intermediate values, on the host or (`device` not null) there.
struct ArenaMemory {
  CudaDevice* device = nullptr;
  std::span<std::byte> bytes;
};

/// Is told of every node while a plan runs, and may run the plan's steps in its own way: NanGuardMode,
/// MonitorMode, DebugMode. Called by any number of calls at once.
class NodeObserver {
 public:
  virtual ~NodeObserver() = default;
  /// The memory is in place, nothing has run. `arenas`: the host's, then those of the plan's devices.
  virtual void begin(const Plan& /*plan*/, std::span<const ArenaMemory> /*arenas*/) {}
  virtual void before(const NodeCall&) {}
  virtual void after(const NodeCall&) {}
  /// Runs a step, whose pointers are slots[step.first_slot] … slots[end - 1].
  virtual void run(const Step& step, void** slots, std::size_t /*end*/) { step.run(slots); }
};

/// What is different in a plan that is observed. An update is never computed over the old value there: what
/// an observer throws leaves shared variables as they were.
struct PlanChecks {
  std::shared_ptr<NodeObserver> observer;
  /// Unused bytes around every buffer of the arena; then no two buffers share memory and results are copied
  /// out of the arena. 0: as usual.
  std::size_t guard_bytes = 0;
  /// Added to where every buffer begins.
  std::size_t misalignment = 0;
  /// Not 0: chooses one of the orders that the graph allows.
  std::uint64_t order_seed = 0;
  /// How the arguments lie, one an input; contiguous when empty.
  std::vector<Shape> input_strides;
  /// Not 0: instead of the process's.
  int threads = 0;
};

/// An operand of a node that is observed.
struct ProbedValue {
  Layout layout;
  CudaDevice* device = nullptr;  // null: on the host
};

/// Tells the observer of a node; what lies on a device is fetched. Pointers: the node's inputs, then its
/// outputs.
class ProbeStep final : public Step {
 public:
  ProbeStep(const Node* node, std::size_t position, std::shared_ptr<NodeObserver> observer,
            std::vector<ProbedValue> inputs, std::vector<ProbedValue> outputs)
      : Step(node),
        position_(position),
        observer_(std::move(observer)),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)) {}
  void run(void** slots) const override;
  std::string kind() const override { return outputs_.empty() ? "before" : "after"; }
  bool may_throw() const override { return true; }
  std::vector<Layout> input_layouts() const override;

 private:
  std::size_t position_;
  std::shared_ptr<NodeObserver> observer_;
  std::vector<ProbedValue> inputs_;
  std::vector<ProbedValue> outputs_;  // empty: the node has not run
};

/// The observer of NanGuardMode, with the settings of this moment.
std::shared_ptr<NodeObserver> make_nan_guard();
/// The observer of MonitorMode. A null monitor reports every node as a message.
std::shared_ptr<NodeObserver> make_monitor(std::shared_ptr<const Monitor> monitor);

}  // namespace croton
