#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "croton/codegen/fuse_phases.h"
#include "croton/runtime/cuda_branches.h"
#include "croton/runtime/node_observer.h"
#include "croton/runtime/plan.h"

namespace croton {

/// What a plan is made from.
struct PlanRequest {
  /// Specialised: every extent known (or found through value_of).
  std::shared_ptr<const FunctionGraph> graph;
  /// How many of the graph's outputs are the function's; those behind them are updates.
  std::size_t output_count = 0;
  /// The cells of the updates, in order.
  std::vector<const SharedCell*> updated;
  /// The value that a variable of the graph has in the call the plan is made for.
  std::function<Tensor(const Variable&)> value_of;
  int threads = 1;
  /// Machine code that takes less time to make and more to run.
  bool is_quick = false;
  bool profile = false;
  /// For reports of the memory in use.
  std::string name;
  /// With an observer: the plan is looked at while it runs.
  PlanChecks checks = {};
};

struct PlanTimes {
  double lower = 0;
  double compile = 0;
  double plan = 0;
};

/// Makes a plan: decides where every variable lies, finds code for every node, places the buffers.
class PlanBuilder {
 public:
  explicit PlanBuilder(PlanRequest request);
  std::unique_ptr<Plan> build(PlanTimes& times);

 private:
  /// A piece of memory.
  struct Root {
    enum class Kind : std::uint8_t {
      computed,  // in the arena, unless it becomes a result
      input,
      shared,
      constant,
      dynamic,  // part of another root, at a place that a ViewStep finds
    };
    Kind kind = Kind::computed;
    std::uint32_t index = 0;       // of the input, shared variable or constant; of the ViewStep
    CudaDevice* device = nullptr;  // null: on the host
    bool is_volatile = false;      // on a device: lies elsewhere at every call
    std::int32_t parent = -1;      // of a dynamic root
    const Node* node = nullptr;    // that computes it
    std::size_t bytes = 0;
    bool holds_output = false;  // must not be written over
    std::int32_t result = -1;   // computed: the result that it is
    std::size_t first_step = 0, last_step = 0;
    std::size_t arena_offset = 0;
    bool is_touched = false;
    bool is_pinned_down = false;       // on a device: a library computes it, always at the same address
    CudaDevice* fetched_by = nullptr;  // on the host: the device that it is copied from
  };
  struct Pointer {
    std::int32_t root;
    std::ptrdiff_t offset;  // bytes
  };
  /// Where a variable lies.
  struct Place {
    std::int32_t root = -1;
    std::ptrdiff_t offset = 0;
    Layout layout;
    Pointer pointer() const { return {root, offset}; }
  };
  struct JoinedPlaces {
    std::int32_t root = -1;               // none: the join copies
    std::vector<std::ptrdiff_t> offsets;  // of the operands
  };
  struct Draft {  // of a step
    std::unique_ptr<Step> step;
    std::vector<Pointer> pointers;
  };

  void find_memory();
  void shuffle_nodes(std::uint64_t seed);
  void order_nodes();
  void find_updates_in_place();
  void place_leaves();
  void add_node(const Node& node);
  void add_node_steps(const Node& node);
  void add_probe(const Node& node, bool has_run);
  bool add_view(const Node& node);
  void add_dynamic_view(const Node& node, const Place& viewed);
  const Node& concrete(const Node& node);
  Place writable(const Place& place);
  void add_computation(const Node& node, std::vector<Place> inputs, std::vector<Place> outputs);
  void add_kernels(const Node& node, NodeCode code, std::span<const Place> inputs,
                   std::span<const Place> outputs);
  static std::vector<Layout> layouts_of(std::span<const Place> places);
  static Pointer pointer_of(const StepBuffer& buffer, std::span<const Place> inputs,
                            std::span<const Place> outputs, std::span<const std::int32_t> scratch,
                            std::int32_t fault);
  Place copy(const Place& from);
  Place fresh(DType dtype, const Shape& shape, CudaDevice* device = nullptr);
  std::int32_t new_root(Root root);
  void set_place(const Variable& variable, Place place);
  const Place& place_of(const Variable& variable);
  std::size_t add_draft(std::unique_ptr<Step> step, std::vector<Pointer> pointers);
  const Root& root_of(const Place& place) const { return roots_[static_cast<std::size_t>(place.root)]; }
  TensorType type_of(const Place& place) const;

  // What concerns devices (cuda_plan_*.cpp).
  static CudaDevice* device_of(const Node& node);
  bool is_observed() const { return request_.checks.observer != nullptr; }
  const Place& device_place_of(const Variable& constant, CudaDevice& device);
  void add_transfer(const Node& node);
  Place upload(const Node* node, Place from, CudaDevice& device);
  Place copy_between_devices(const Node* node, Place from, CudaDevice& device);
  Place download(const Node* node, Place from);
  void add_device_computation(const Node& node, std::vector<Place> inputs, std::vector<Place> outputs);
  Place fixed_place(const Place& place);
  bool add_device_library(const Node& node, std::span<const Place> inputs, std::span<const Place> outputs);
  void add_device_kernels(const Node& node, NodeCode code, std::span<const Place> inputs,
                          std::span<const Place> outputs);
  void add_on_host_instead(const Node& node, std::vector<Place> inputs, std::vector<Place> outputs);
  std::optional<std::vector<SharedCell*>> fixed_sources(std::span<const Place> inputs) const;
  std::int32_t fixed_root(void* address, CudaDevice& device);
  void add_fault_report(const Node& node, std::int32_t fault, std::span<const Place> inputs);
  void add_fault_check();
  const JoinedPlaces& places_in(const Node& join);
  Place place_in_join(const Node& node);
  bool is_joined_in_place(const Node& node) const;
  bool add_join_in_place(const Node& node);
  void order_drafts();
  void bring_together_kernels();
  void merge_device_kernels();
  std::vector<BufferPlace> buffer_places(std::span<const Pointer> pointers) const;
  bool writes(const CudaStep& step, std::size_t pointer) const;
  void find_branches();
  static const void* exclusive_use(const CudaStep& step);
  void connect_branches();
  std::vector<double> estimated_step_costs() const;
  void place_in_device_arenas();
  void compile_device_kernels();
  void* constant_address(const Root& root) const;
  std::string largest_buffers(const CudaDevice& device) const;
  Ref<ResultPool> result_pool(const Place& place, Plan::Result& result);
  bool add_results();
  bool writes_before_throwing() const;
  void compile_kernels();
  void place_in_arena();
  std::size_t place_roots(CudaDevice* device);
  std::size_t place_guarded(CudaDevice* device);
  void connect();
  Plan::SlotUse use_of(std::int32_t root, std::ptrdiff_t offset) const;
  void list_places();
  void prepare_profile();
  void label_steps(Trace& trace);
  void name_ranges();
  void reset();
  static std::vector<CudaDevice*> devices_of(const FunctionGraph& graph);
  bool draft();
  const Variable& memory_of(const Variable& variable) const;

  PlanRequest request_;
  std::vector<CudaDevice*> devices_;  // of the graph, by ordinal
  const FunctionGraph& graph_;
  std::unique_ptr<Plan> plan_;
  std::vector<const Node*> order_;
  std::unordered_map<Variable, Variable> memory_;  // what views and destroyers lie in
  std::unordered_map<Variable, Place> places_;
  std::vector<Root> roots_;
  std::vector<Draft> drafts_;
  std::vector<Kernel> kernels_;
  std::vector<Kernel> device_kernels_;
  std::unordered_map<CudaDevice*, std::unordered_map<Variable, Place>> device_constants_;
  /// Copies by root, offset and bytes.
  std::map<std::tuple<std::int32_t, std::ptrdiff_t, std::size_t>, std::int32_t> fixed_places_;
  std::unordered_map<const Node*, JoinedPlaces> joins_;
  struct UncheckedFault {
    const Node* node;
    std::shared_ptr<CudaFaultCell> cell;
    std::vector<Place> inputs;
  };
  std::vector<UncheckedFault> unchecked_faults_;
  std::map<CudaDevice*, CudaPlan::Arena> device_arenas_;
  struct StretchBranches {
    std::vector<std::size_t> drafts;
    std::vector<std::vector<CudaBranches::Access>> accesses;  // of their steps
    CudaBranches branches;
  };
  std::vector<StretchBranches> stretches_;
  std::vector<void*> device_constant_addresses_;
  std::vector<bool> may_write_shared_;
  std::vector<ViewStep*> view_steps_;
  std::size_t position_ = 0;  // of the node being added
  bool updates_in_place_ = true;
  std::size_t first_shared_write_ = 0;  // the draft from which on shared variables are written
};

}  // namespace croton
