#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/op.h"
#include "croton/ops/transfer.h"
#include "croton/optimizer/passes.h"

// What goes where:
// - A node computes on the device when there is code for it there. What there is none for runs on the host
//   between transfers.
// - Integers that decide shapes are computed on the host, and so is what has one element and is made of such:
//   a step of the host costs nanoseconds, and the device would have to be waited for.
// - A shared variable lies on the device when a node there uses it or computes its new value; a scalar only
//   when the host does not need it.
// - What a user put on a device by transfers stays there, also in functions that run on the host.

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
      if (computes_on_device(*node)) on_device_.insert(node);
    }
    report_host_nodes();
    place_leaves();
    for (Node* node : order_) rebuild(*node);
    std::vector<Variable> outputs;
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i) {
      const Variable& old = graph_.outputs()[i];
      outputs.push_back(stays_on_device(i) ? on_device(old) : on_host(old));
    }
    for (const Variable& leaf : resident_) graph_.set_device(leaf, device_);
    graph_.replace_outputs(outputs, origins_, "placement");
  }

 private:
  void find_device() {
    device_ = options_.device;
    const auto see = [&](Device device) {
      if (device.is_host() || device == device_) return;
      if (!device_.is_host()) {
        throw DeviceError(fmt::format("a function works on one GPU; this one uses {} and {}",
                                      to_string(device_), to_string(device)));
      }
      device_ = device;
    };
    for (const Node* node : order_) see(node->type().device);
    for (const Variable& v : graph_.shared()) see(v.type().device);
    for (const Device device : options_.input_devices) see(device);
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

  bool is_device_data(const Variable& v) const {
    if (v.is_constant()) return false;
    if (!v.type().device.is_host()) return true;
    if (v.is_shared()) return v.rank() > 0;
    if (v.is_input()) return is_device_argument(v);
    return on_device_.contains(v.node());
  }
  bool is_device_argument(const Variable& input) const {
    for (std::size_t i = 0; i < options_.input_devices.size() && i < graph_.inputs().size(); ++i) {
      if (graph_.inputs()[i] == input) return !options_.input_devices[i].is_host();
    }
    return false;
  }

  std::vector<bool> data_operands(const Node& node) const {
    std::vector<bool> is_data(node.input_count(), true);
    for (const std::size_t i : node.op().shape_inputs(node)) is_data[i] = false;
    return is_data;
  }

  bool computes_on_device(const Node& node) const {
    if (is_transfer(node.op())) return !node.type().device.is_host();
    if (!node.type().device.is_host()) return true;
    if (options_.device.is_host() || deciding_.contains(&node) || looks_at_shapes(node)) return false;
    const std::vector<bool> is_data = data_operands(node);
    bool has_device_data = false, has_data = false;
    for (std::size_t i = 0; i < is_data.size(); ++i) {
      has_data = has_data || is_data[i];
      has_device_data = has_device_data || (is_data[i] && is_device_data(node.input(i)));
    }
    if (!has_data) return false;
    if (!has_device_data && is_small(node)) return false;
    // A view of an argument: less to copy when it is taken first.
    if (!has_device_data && !node.op().view_map(node).empty() && takes_part(node)) return false;
    return !options_.supports || options_.supports(node);
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

  /// Which shared variables and arguments lie on the device.
  void place_leaves() {
    for (const Variable& v : graph_.inputs()) {
      if (is_device_argument(v)) resident_.insert(v);
    }
    for (std::size_t s = 0; s < graph_.shared().size(); ++s) {
      const Variable& v = graph_.shared()[s];
      bool device_needs = !v.type().device.is_host(), host_needs = false;
      for (const Use& use : v.node()->uses(v.output_index())) {
        const bool is_device_use = on_device_.contains(use.node) && data_operands(*use.node)[use.slot];
        (is_device_use ? device_needs : host_needs) = true;
      }
      for (const auto& [output, shared] : options_.updates) {
        if (shared != s || graph_.outputs()[output] == v) continue;
        const Variable& value = graph_.outputs()[output];
        if (value.is_constant() || value.is_input()) continue;
        (is_device_data(value) ? device_needs : host_needs) = true;
      }
      if (device_needs && !(v.rank() == 0 && host_needs)) resident_.insert(v);
    }
  }

  bool stays_on_device(std::size_t output) const {
    if (!graph_.outputs()[output].type().device.is_host()) return true;
    for (const auto& [updating, shared] : options_.updates) {
      if (updating == output) return resident_.contains(graph_.shared()[shared]);
    }
    // The new value of a shared variable that this function does not read stays where it is computed.
    const Variable& value = graph_.outputs()[output];
    return output >= options_.results && value.rank() > 0 && is_device_data(value);
  }

  Variable on_host(const Variable& old) {
    if (old.is_constant()) return old;
    const auto [entry, is_new] = host_.try_emplace(old);
    if (!is_new) return entry->second;
    Variable value = old;
    if (old.node()->is_leaf()) {
      if (resident_.contains(old)) value = copied(host_from_gpu_op(), old);
    } else if (const auto there = device_versions_.find(old); there != device_versions_.end()) {
      value = copied(host_from_gpu_op(), there->second);
    }
    return host_[old] = value;
  }

  Variable on_device(const Variable& old) {
    if (const auto entry = device_versions_.find(old); entry != device_versions_.end()) return entry->second;
    Variable value = old;
    if (!old.node()->is_leaf() || !resident_.contains(old)) value = copied(gpu_from_host_op(), on_host(old));
    device_versions_.emplace(old, value);
    return value;
  }

  /// Made without looking at the operand's device, which set_device will change.
  Variable copied(const Op& transfer, const Variable& x) const {
    TensorType type = x.type();
    type.device = &transfer == &gpu_from_host_op() ? device_ : Device();
    Attributes attributes;
    if (!type.device.is_host()) attributes = attributes.with("device", to_string(device_));
    return Variable(Node::make_apply(transfer, {x}, attributes, {type}, x.node()->where()));
  }

  void rebuild(Node& node) {
    if (is_transfer(node.op())) {  // what it copies, wherever that is needed
      const Variable& from = node.input(0);
      if (node.type().device.is_host())
        host_[node.output()] = on_host(from);
      else
        device_versions_[node.output()] = on_device(from);
      return;
    }
    const bool moves = on_device_.contains(&node);
    const std::vector<bool> is_data = data_operands(node);
    std::vector<Variable> inputs;
    bool has_device_operand = false, is_changed = moves;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const Variable& old = node.input(i);
      const bool there = moves && is_data[i] && !old.is_constant();
      const bool anywhere =
          looks_at_shapes(node) && (device_versions_.contains(old) || resident_.contains(old));
      inputs.push_back(there || anywhere ? on_device(old) : on_host(old));
      has_device_operand = has_device_operand || there;
      is_changed = is_changed || !(inputs.back() == old);
    }
    if (!is_changed) {
      for (std::size_t i = 0; i < node.output_count(); ++i) host_[node.output(i)] = node.output(i);
      return;
    }
    if (moves && !has_device_operand) {  // of constants alone: one of them says where
      const auto first = static_cast<std::size_t>(std::ranges::find(is_data, true) - is_data.begin());
      inputs[first] = copied(gpu_from_host_op(), inputs[first]);
    }
    std::vector<TensorType> types;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      types.push_back(node.type(i));
      types.back().device = moves ? device_ : Device();
    }
    const Ref<Node> fresh =
        Node::make_apply(node.op(), std::move(inputs), node.attributes(), std::move(types), node.where());
    origins_.emplace(fresh.get(), &node);
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      Variable output(fresh, static_cast<std::uint32_t>(i));
      output.set_name(node.name(i));
      (moves ? device_versions_ : host_)[node.output(i)] = output;
    }
  }

  FunctionGraph& graph_;
  const SpecializeOptions& options_;
  std::vector<Node*> order_;
  Device device_;
  std::unordered_set<const Node*> deciding_;
  std::unordered_set<const Node*> on_device_;
  std::unordered_set<Variable> resident_;                          // leaves that lie on the device
  std::unordered_map<Variable, Variable> host_, device_versions_;  // of the old variables
  std::unordered_map<const Node*, const Node*> origins_;
};

}  // namespace

void place_on_device(FunctionGraph& graph, const SpecializeOptions& options) {
  Placement(graph, options).run();
}

}  // namespace croton
