#include "croton/runtime/plan_builder.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <unordered_set>

#include "croton/codegen/quick_compile.h"
#include "croton/graph/error.h"
#include "croton/graph/op.h"

namespace croton {

namespace {

class Stopwatch {
 public:
  /// Seconds since the last call.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::vector<std::pair<int, int>> destroy_map_of(const Node& node) {
  if (!node.attributes().contains("inplace")) return {};
  return node.op().destroy_map(node);
}

}  // namespace

PlanBuilder::PlanBuilder(PlanRequest request)
    : request_(std::move(request)), devices_(devices_of(*request_.graph)), graph_(*request_.graph) {}

std::vector<CudaDevice*> PlanBuilder::devices_of(const FunctionGraph& graph) {
  std::set<int> ordinals;
  const auto see = [&](Device device) {
    if (device.is_cuda()) ordinals.insert(device.ordinal());
  };
  for (const Ref<Node>& node : graph.nodes()) {
    if (node->output_count() > 0) see(node->type().device);
  }
  for (const Variable& v : graph.inputs()) see(v.type().device);
  for (const Variable& v : graph.shared()) see(v.type().device);
  std::vector<CudaDevice*> devices;
  for (const int ordinal : ordinals) devices.push_back(&CudaDevice::get(ordinal));
  return devices;
}

std::unique_ptr<Plan> PlanBuilder::build(PlanTimes& times) {
  Stopwatch watch;
  find_memory();
  if (request_.checks.order_seed != 0) shuffle_nodes(request_.checks.order_seed);
  order_nodes();
  if (!draft()) {
    updates_in_place_ = false;
    if (!draft()) throw InternalError("a plan that stores all updates in blocks of their own failed");
  }
  times.lower += watch.lap();
  if (!is_observed()) {
    order_drafts();
    merge_device_kernels();
    find_branches();
  }
  times.plan += watch.lap();
  compile_kernels();
  compile_device_kernels();
  times.compile += watch.lap();
  if (request_.checks.guard_bytes > 0) {
    plan_->arena_bytes_ = place_guarded(nullptr);
    for (CudaDevice* device : devices_) device_arenas_[device].bytes = place_guarded(device);
  } else {
    place_in_arena();
  }
  connect();
  list_places();
  plan_->observer_ = request_.checks.observer;
  times.plan += watch.lap();
  return std::move(plan_);
}

/// False when an update cannot be computed over the old value after all.
bool PlanBuilder::draft() {
  reset();
  find_updates_in_place();
  place_leaves();
  for (const Node* node : order_) add_node(*node);
  if (!add_results()) return false;
  add_fault_check();
  return !writes_before_throwing();
}

void PlanBuilder::reset() {
  plan_ = std::make_unique<Plan>();
  plan_->graph_ = request_.graph;
  if (!devices_.empty()) {
    plan_->cuda_ = std::make_unique<CudaPlan>(
        devices_, std::make_shared<const std::string>("function '" + request_.name + "'"));
  }
  places_.clear();
  roots_.clear();
  drafts_.clear();
  kernels_.clear();
  device_kernels_.clear();
  device_constants_.clear();
  fixed_places_.clear();
  joins_.clear();
  device_constant_addresses_.clear();
  unchecked_faults_.clear();
  view_steps_.clear();
  position_ = 0;
  first_shared_write_ = static_cast<std::size_t>(-1);
}

const Variable& PlanBuilder::memory_of(const Variable& variable) const {
  const auto entry = memory_.find(variable);
  return entry == memory_.end() ? variable : entry->second;
}

void PlanBuilder::find_memory() {
  for (const Node* node : graph_.topological_order()) {
    order_.push_back(node);
    const auto follow = [&](const std::vector<std::pair<int, int>>& pairs) {
      for (const auto& [output, input] : pairs) {
        memory_.emplace(const_cast<Node*>(node)->output(static_cast<std::size_t>(output)),
                        memory_of(node->input(static_cast<std::size_t>(input))));
      }
    };
    follow(node->op().view_map(*node));
    follow(destroy_map_of(*node));
  }
}

/// Nodes that write over shared variables, and all that must come after them, go to the end: what throws
/// before leaves the variables as they were.
void PlanBuilder::order_nodes() {
  std::unordered_set<const Node*> late;
  std::unordered_set<Variable> read_late;
  for (const Node* node : order_) {
    bool is_late = false;
    if (!late.empty()) {
      for (const Variable& input : node->inputs()) is_late = is_late || late.contains(input.node());
    }
    for (const auto& [output, input] : destroy_map_of(*node)) {
      const Variable& memory = memory_of(node->input(static_cast<std::size_t>(input)));
      is_late = is_late || memory.is_shared() || read_late.contains(memory);
    }
    if (!is_late) continue;
    late.insert(node);
    for (const Variable& input : node->inputs()) read_late.insert(memory_of(input));
  }
  std::ranges::stable_partition(order_, [&](const Node* node) { return !late.contains(node); });
}

void PlanBuilder::find_updates_in_place() {
  may_write_shared_.assign(graph_.shared().size(), false);
  if (!updates_in_place_) return;
  for (std::size_t j = 0; j < request_.updated.size(); ++j) {
    const Variable& value = graph_.outputs()[request_.output_count + j];
    const Variable& memory = memory_of(value);
    if (!memory.is_shared() || memory == value || memory.node()->cell().get() != request_.updated[j])
      continue;
    if (!(memory.type() == value.type())) continue;
    for (std::size_t s = 0; s < graph_.shared().size(); ++s) {
      if (graph_.shared()[s] == memory) may_write_shared_[s] = true;
    }
  }
}

void PlanBuilder::place_leaves() {
  const auto place = [&](const std::vector<Variable>& variables, Root::Kind kind) {
    for (std::size_t i = 0; i < variables.size(); ++i) {
      const TensorType& type = variables[i].type();
      CudaDevice* device = type.device.is_cuda() ? &CudaDevice::get(type.device.ordinal()) : nullptr;
      const std::int32_t root = new_root({.kind = kind,
                                          .index = static_cast<std::uint32_t>(i),
                                          .device = device,
                                          .is_volatile = device != nullptr && kind == Root::Kind::input});
      const bool is_strided = kind == Root::Kind::input && !request_.checks.input_strides.empty();
      set_place(variables[i],
                {root,
                 0,
                 {type.dtype, type.shape,
                  is_strided ? request_.checks.input_strides[i] : contiguous_strides(type.shape)}});
    }
  };
  place(graph_.inputs(), Root::Kind::input);
  place(graph_.shared(), Root::Kind::shared);
  plan_->input_patches_.resize(graph_.inputs().size());
  plan_->shared_patches_.resize(graph_.shared().size());
  plan_->shared_written_.assign(graph_.shared().size(), false);
  plan_->shared_devices_.clear();
  for (const Variable& v : graph_.shared()) {
    const Device device = v.type().device;
    plan_->shared_devices_.push_back(device.is_cuda() ? &CudaDevice::get(device.ordinal()) : nullptr);
  }
}

std::int32_t PlanBuilder::new_root(Root root) {
  roots_.push_back(root);
  return static_cast<std::int32_t>(roots_.size() - 1);
}

void PlanBuilder::set_place(const Variable& variable, Place place) {
  if (graph_.is_output(variable)) {
    for (std::int32_t root = place.root; root >= 0; root = roots_[static_cast<std::size_t>(root)].parent) {
      roots_[static_cast<std::size_t>(root)].holds_output = true;
    }
  }
  places_.insert_or_assign(variable, std::move(place));
}

const PlanBuilder::Place& PlanBuilder::place_of(const Variable& variable) {
  const auto entry = places_.find(variable);
  if (entry != places_.end()) return entry->second;
  if (!variable.is_constant())
    throw InternalError("a plan needs " + describe(variable) + " before it is computed");
  const Tensor value = variable.constant_value().to_host().contiguous();
  const std::int32_t root =
      new_root({.kind = Root::Kind::constant, .index = static_cast<std::uint32_t>(plan_->constants_.size())});
  plan_->constants_.push_back(value);
  set_place(variable, {root, 0, {value.dtype(), value.shape(), contiguous_strides(value.shape())}});
  return places_.at(variable);
}

std::size_t PlanBuilder::add_draft(std::unique_ptr<Step> step, std::vector<Pointer> pointers) {
  drafts_.push_back({std::move(step), std::move(pointers)});
  return drafts_.size() - 1;
}

TensorType PlanBuilder::type_of(const Place& place) const {
  const CudaDevice* there = root_of(place).device;
  const Device device = there != nullptr ? Device::cuda(there->ordinal()) : Device();
  return {place.layout.dtype, place.layout.shape, device};
}

bool PlanBuilder::writes_before_throwing() const {
  for (std::size_t i = first_shared_write_; i < drafts_.size(); ++i) {
    if (drafts_[i].step->may_throw()) return true;
  }
  return false;
}

void PlanBuilder::compile_kernels() {
  if (kernels_.empty()) return;
  const auto compiled = request_.is_quick ? compile_quickly(kernels_) : compile(kernels_);
  for (const Draft& draft : drafts_) {
    if (auto* step = dynamic_cast<KernelStep*>(draft.step.get()))
      step->kernel = compiled[step->kernel_position];
  }
}

}  // namespace croton
