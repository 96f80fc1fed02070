#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/transfer.h"
#include "croton/optimizer/passes.h"

// What goes where:
// - A node computes on the device when there is code for it there. What there is none for runs on the host
//   between transfers.
// - Integers that decide shapes are computed on the host, and so is what has one element and is made of such:
//   a step of the host costs nanoseconds, and the device would have to be waited for.
// - A shared variable lies on the device when a node there uses it or computes its new value; a scalar only
//   when the host does not need it.
// - What a user put on a device, by transfers or by the target of a shared variable, stays there, also in
//   functions that run on the host or on another device. A node computes where most of its data lies; what
//   lies on another device is copied.

namespace croton {

namespace {

class Placement {
 public:
  Placement(FunctionGraph& graph, const SpecializeOptions& options)
      : graph_(graph), options_(options), order_(graph.topological_order()) {}

  void run() {
    find_device();
    if (device_.is_host()) return;
    find_deciding();
    for (const Node* node : order_) {
      if (const Device device = device_of(*node); device.is_cuda()) on_device_.emplace(node, device);
    }
    report_host_nodes();
    place_leaves();
    for (Node* node : order_) rebuild(*node);
    std::vector<Variable> outputs;
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i) {
      const Device device = device_of_output(i);
      outputs.push_back(at(graph_.outputs()[i], device));
    }
    for (const auto& [leaf, device] : resident_) graph_.set_device(leaf, device);
    graph_.replace_outputs(outputs, origins_, "placement");
  }

 private:
  /// That of the function; where it runs on the host, one on which a user put something.
  void find_device() {
    device_ = options_.device;
    const auto see = [&](Device device) {
      if (device_.is_host()) device_ = device;
    };
    for (const Node* node : order_) see(node->type().device);
    for (const Variable& v : graph_.shared()) {
      see(v.type().device);
      see(target_of(v));
    }
    for (const Device device : options_.input_devices) see(device);
  }

  /// What a user said of a shared variable; the host where nothing.
  static Device target_of(const Variable& v) {
    return v.is_shared() ? v.node()->cell()->target().value_or(Device()) : Device();
  }

  /// Nodes whose values decide shapes.
  void find_deciding() {
    std::vector<const Node*> found;
    const auto add = [&](const Variable& v) {
      const Node* node = v.node();
      if (node->is_apply() && is_discrete(v.dtype()) && v.rank() <= 1 && deciding_.insert(node).second)
        found.push_back(node);
    };
    for (const Node* node : order_) {
      for (const std::size_t i : node->op().shape_inputs(*node)) add(node->input(i));
    }
    while (!found.empty()) {
      const Node* node = found.back();
      found.pop_back();
      for (const Variable& input : node->inputs()) add(input);
    }
  }

  /// Where a value certainly lies: on the host, or the device where it is computed or was put.
  Device certain_device(const Variable& v) const {
    if (v.is_constant()) return {};
    if (!v.type().device.is_host()) return v.type().device;
    if (v.is_shared()) return target_of(v);
    if (v.is_input()) return argument_device(v);
    const auto entry = on_device_.find(v.node());
    return entry == on_device_.end() ? Device() : entry->second;
  }
  /// A shared variable follows those who use it.
  bool may_move(const Variable& v) const {
    return v.is_shared() && v.rank() > 0 && v.type().device.is_host() && options_.device.is_cuda() &&
           !v.node()->cell()->target();
  }
  Device argument_device(const Variable& input) const {
    for (std::size_t i = 0; i < options_.input_devices.size() && i < graph_.inputs().size(); ++i) {
      if (graph_.inputs()[i] == input) return options_.input_devices[i];
    }
    return {};
  }
  static std::int64_t bytes_of(const Variable& v) {
    const Shape& shape = v.type().shape;
    return shape.is_known() ? shape.count() * static_cast<std::int64_t>(size_of(v.dtype())) : 1;
  }

  std::vector<bool> data_operands(const Node& node) const {
    std::vector<bool> is_data(node.input_count(), true);
    for (const std::size_t i : node.op().shape_inputs(node)) is_data[i] = false;
    return is_data;
  }

  Device device_of(const Node& node) const {
    if (is_transfer(node.op()) || !node.type().device.is_host()) return node.type().device;
    if (deciding_.contains(&node) || looks_at_shapes(node)) return {};
    const std::vector<bool> is_data = data_operands(node);
    std::map<int, std::int64_t> bytes;  // of data operands on each device
    bool moves = false, has_data = false;
    for (std::size_t i = 0; i < is_data.size(); ++i) {
      if (!is_data[i]) continue;
      has_data = true;
      moves = moves || may_move(node.input(i));
      if (const Device device = certain_device(node.input(i)); device.is_cuda())
        bytes[device.ordinal()] += bytes_of(node.input(i));
    }
    if (!has_data) return {};
    if (bytes.empty() && options_.device.is_host()) return {};
    if (bytes.empty() && !moves) {
      if (is_small(node)) return {};
      // A view of an argument: less to copy when it is taken first.
      if (!node.op().view_map(node).empty() && takes_part(node)) return {};
    }
    if (options_.supports && !options_.supports(node)) return {};
    if (bytes.empty()) return device_;
    const auto most = std::ranges::max_element(bytes, {}, &std::pair<const int, std::int64_t>::second);
    const auto main = bytes.find(device_.ordinal());
    return main != bytes.end() && main->second == most->second ? device_ : Device::cuda(most->first);
  }
  /// Its operands may lie anywhere, its results are the host's.
  bool looks_at_shapes(const Node& node) const {
    return !is_transfer(node.op()) && node.op().output_device(node.attributes(), device_).is_host();
  }
  static bool is_small(const Node& node) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const Shape& shape = node.type(i).shape;
      if (!shape.is_known() || shape.count() != 1) return false;
    }
    return true;
  }
  static bool takes_part(const Node& view) {
    const Shape& from = view.input(0).type().shape;
    const Shape& to = view.type().shape;
    return from.is_known() && to.is_known() && to.count() < from.count();
  }

  void report_host_nodes() const {
    const AssertNoCpuOp action = config().assert_no_cpu_op();
    if (action == AssertNoCpuOp::ignore || options_.device.is_host()) return;
    std::string text;
    for (const Node* node : order_) {
      const bool counts = !on_device_.contains(node) && !is_transfer(node->op()) && !is_small(*node) &&
                          !deciding_.contains(node) && node->op().view_map(*node).empty();
      if (!counts) continue;
      text += fmt::format("\n  {} : {}", node->op().label(*node), to_string(node->type()));
      if (node->where().known()) text += fmt::format(", made at {}", to_string(node->where()));
    }
    if (text.empty()) return;
    text =
        fmt::format("a function for {} computes on the CPU (assert_no_cpu_op):{}", to_string(device_), text);
    if (action == AssertNoCpuOp::raise) throw DeviceError(text);
    send_message(Severity::warning, text);
  }

  /// Which shared variables and arguments lie on devices.
  void place_leaves() {
    for (const Variable& v : graph_.inputs()) {
      if (const Device device = argument_device(v); device.is_cuda()) resident_.emplace(v, device);
    }
    for (std::size_t s = 0; s < graph_.shared().size(); ++s) {
      const Variable& v = graph_.shared()[s];
      const std::optional<Device>& target = v.node()->cell()->target();
      const Device device = target ? *target : device_of_shared(s);
      if (device.is_cuda()) resident_.emplace(v, device);
    }
  }

  /// Where those who use it and who compute its new value are: on the function's device, where one is there.
  Device device_of_shared(std::size_t s) const {
    const Variable& v = graph_.shared()[s];
    if (!v.type().device.is_host()) return v.type().device;
    Device needed;
    bool host_needs = false;
    const auto see = [&](Device device) {
      if (device.is_host())
        host_needs = true;
      else if (needed.is_host() || device == device_)
        needed = device;
    };
    for (const Use& use : v.node()->uses(v.output_index())) {
      const auto entry = on_device_.find(use.node);
      const bool is_device_use = entry != on_device_.end() && data_operands(*use.node)[use.slot];
      see(is_device_use ? entry->second : Device());
    }
    for (const auto& [output, shared] : options_.updates) {
      if (shared != s || graph_.outputs()[output] == v) continue;
      const Variable& value = graph_.outputs()[output];
      if (value.is_constant() || value.is_input()) continue;
      see(may_move(value) ? device_ : certain_device(value));
    }
    return v.rank() == 0 && host_needs ? Device() : needed;
  }

  Device resident_device(const Variable& v) const {
    const auto entry = resident_.find(v);
    return entry == resident_.end() ? Device() : entry->second;
  }

  Device device_of_output(std::size_t output) const {
    const Variable& value = graph_.outputs()[output];
    if (!value.type().device.is_host()) return value.type().device;
    for (const auto& [updating, shared] : options_.updates) {
      if (updating == output) return resident_device(graph_.shared()[shared]);
    }
    // The new value of a shared variable that this function does not read stays where it is computed.
    if (output < options_.results || value.rank() == 0) return {};
    return may_move(value) ? resident_device(value) : certain_device(value);
  }

  Variable at(const Variable& old, Device device) {
    return device.is_host() ? on_host(old) : on_device(old, device);
  }

  Variable on_host(const Variable& old) {
    if (old.is_constant()) return old;
    const auto [entry, is_new] = host_.try_emplace(old);
    if (!is_new) return entry->second;
    Variable value = old;
    if (old.node()->is_leaf()) {
      if (resident_.contains(old)) value = copied(host_from_gpu_op(), old, {});
    } else if (const auto there = device_versions_.find(old); there != device_versions_.end()) {
      value = copied(host_from_gpu_op(), there->second.begin()->second, {});
    }
    return host_[old] = value;
  }

  Variable on_device(const Variable& old, Device device) {
    std::map<int, Variable>& versions = device_versions_[old];
    if (const auto entry = versions.find(device.ordinal()); entry != versions.end()) return entry->second;
    const Device resident = old.node()->is_leaf() ? resident_device(old) : Device();
    Variable value = old;
    if (resident.is_cuda()) {
      if (resident != device) value = copied(gpu_to_gpu_op(), old, device);
    } else if (!versions.empty()) {
      value = copied(gpu_to_gpu_op(), versions.begin()->second, device);
    } else {
      device_versions_.erase(old);  // it is on the host
      value = copied(gpu_from_host_op(), on_host(old), device);
    }
    device_versions_[old].emplace(device.ordinal(), value);
    return value;
  }

  /// Made without looking at the operand's device, which set_device will change.
  static Variable copied(const Op& transfer, const Variable& x, Device device) {
    TensorType type = x.type();
    type.device = device;
    Attributes attributes;
    if (!device.is_host()) attributes = attributes.with("device", to_string(device));
    return Variable(Node::make_apply(transfer, {x}, attributes, {type}, x.node()->where()));
  }

  /// Where it is, for who looks at its shape.
  Variable anywhere(const Variable& old) {
    if (const auto entry = device_versions_.find(old); entry != device_versions_.end())
      return entry->second.begin()->second;
    return at(old, old.node()->is_leaf() ? resident_device(old) : Device());
  }

  void rebuild(Node& node) {
    if (is_transfer(node.op())) {  // what it copies, wherever that is needed
      const Variable& from = node.input(0);
      const Device device = node.type().device;
      if (device.is_host())
        host_[node.output()] = on_host(from);
      else
        device_versions_[node.output()].insert_or_assign(device.ordinal(), on_device(from, device));
      return;
    }
    const auto placed = on_device_.find(&node);
    const bool moves = placed != on_device_.end();
    const Device device = moves ? placed->second : Device();
    const std::vector<bool> is_data = data_operands(node);
    std::vector<Variable> inputs;
    bool has_device_operand = false, is_changed = moves;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const Variable& old = node.input(i);
      const bool there = moves && is_data[i] && !old.is_constant();
      inputs.push_back(there ? on_device(old, device) : looks_at_shapes(node) ? anywhere(old) : on_host(old));
      has_device_operand = has_device_operand || there;
      is_changed = is_changed || !(inputs.back() == old);
    }
    if (!is_changed) {
      for (std::size_t i = 0; i < node.output_count(); ++i) host_[node.output(i)] = node.output(i);
      return;
    }
    if (moves && !has_device_operand) {  // of constants alone: one of them says where
      const auto first = static_cast<std::size_t>(std::ranges::find(is_data, true) - is_data.begin());
      inputs[first] = copied(gpu_from_host_op(), inputs[first], device);
    }
    std::vector<TensorType> types;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      types.push_back(node.type(i));
      types.back().device = device;
    }
    const Ref<Node> fresh =
        Node::make_apply(node.op(), std::move(inputs), node.attributes(), std::move(types), node.where());
    origins_.emplace(fresh.get(), &node);
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      Variable output(fresh, static_cast<std::uint32_t>(i));
      output.set_name(node.name(i));
      if (moves)
        device_versions_[node.output(i)].insert_or_assign(device.ordinal(), output);
      else
        host_[node.output(i)] = output;
    }
  }

  FunctionGraph& graph_;
  const SpecializeOptions& options_;
  std::vector<Node*> order_;
  Device device_;
  std::unordered_set<const Node*> deciding_;
  std::unordered_map<const Node*, Device> on_device_;
  std::unordered_map<Variable, Device> resident_;  // leaves that lie on a device
  // Of the old variables; the versions on devices by ordinal.
  std::unordered_map<Variable, Variable> host_;
  std::unordered_map<Variable, std::map<int, Variable>> device_versions_;
  std::unordered_map<const Node*, const Node*> origins_;
};

}  // namespace

void place_on_device(FunctionGraph& graph, const SpecializeOptions& options) {
  Placement(graph, options).run();
}

}  // namespace croton
