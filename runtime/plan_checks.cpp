#include <random>
#include <set>

#include "croton/graph/op.h"
#include "croton/runtime/plan_builder.h"

// What makes a plan one that is looked at while it runs.

namespace croton {

void PlanBuilder::add_probe(const Node& node, bool has_run) {
  std::vector<ProbedValue> inputs, outputs;
  std::vector<Pointer> pointers;
  const auto add = [&](const Variable& variable, std::vector<ProbedValue>& values) {
    const Place& place = place_of(variable);
    values.push_back({place.layout, root_of(place).device});
    pointers.push_back({place.root, place.offset});
  };
  for (const Variable& input : node.inputs()) add(input, inputs);
  for (std::size_t i = 0; has_run && i < node.output_count(); ++i) add(node.output(i), outputs);
  add_draft(std::make_unique<ProbeStep>(&node, position_, request_.checks.observer, std::move(inputs),
                                        std::move(outputs)),
            std::move(pointers));
}

/// Every buffer at a place of its own, with unused memory around it. The size of the arena.
std::size_t PlanBuilder::place_guarded(CudaDevice* device) {
  const std::size_t guard = request_.checks.guard_bytes;
  // CUDA's libraries are told how their operands are aligned.
  const std::size_t alignment = device != nullptr ? 256 : tensor_alignment;
  const std::size_t misalignment = device != nullptr ? 0 : request_.checks.misalignment;
  const Device where = device != nullptr ? Device::cuda(device->ordinal()) : Device();
  std::size_t end = 0;
  for (Root& root : roots_) {
    if (root.kind != Root::Kind::computed || root.result >= 0 || root.device != device) continue;
    const std::size_t first = (end + guard + alignment - 1) / alignment * alignment;
    root.arena_offset = first + misalignment;
    end = root.arena_offset + root.bytes;
    plan_->buffers_.push_back({where, root.arena_offset, root.bytes});
  }
  return end + guard;
}

/// Puts the nodes into another order that the graph allows: inputs first, and who destroys memory after those
/// who read it.
void PlanBuilder::shuffle_nodes(std::uint64_t seed) {
  std::unordered_map<const Node*, std::size_t> position;
  for (std::size_t i = 0; i < order_.size(); ++i) position.emplace(order_[i], i);
  std::vector<std::set<std::size_t>> later(order_.size());
  std::unordered_map<Variable, std::vector<std::size_t>> readers;  // of a piece of memory, so far
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const Node& node = *order_[i];
    if (node.attributes().contains("inplace")) {
      for (const auto& [output, input] : node.op().destroy_map(node)) {
        for (const std::size_t reader : readers[memory_of(node.input(static_cast<std::size_t>(input)))]) {
          later[reader].insert(i);
        }
      }
    }
    for (const Variable& input : node.inputs()) {
      if (input.node()->is_apply()) later[position.at(input.node())].insert(i);
      readers[memory_of(input)].push_back(i);
    }
  }
  std::vector<std::size_t> waiting(order_.size(), 0);
  for (const auto& list : later) {
    for (const std::size_t i : list) ++waiting[i];
  }
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (waiting[i] == 0) ready.push_back(i);
  }
  std::mt19937_64 random(seed);
  std::vector<const Node*> order;
  while (!ready.empty()) {
    std::swap(ready[random() % ready.size()], ready.back());
    const std::size_t next = ready.back();
    ready.pop_back();
    order.push_back(order_[next]);
    for (const std::size_t i : later[next]) {
      if (--waiting[i] == 0) ready.push_back(i);
    }
  }
  order_ = std::move(order);
}

}  // namespace croton
