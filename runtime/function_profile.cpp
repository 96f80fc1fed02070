#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/runtime/function_state.h"
#include "croton/runtime/machine_peak.h"
#include "croton/runtime/operation_count.h"

namespace croton {

namespace {

double bytes_of(const std::vector<Layout>& layouts) {
  double bytes = 0;
  for (const Layout& layout : layouts) {
    bytes += static_cast<double>(layout.shape.count()) * static_cast<double>(size_of(layout.dtype));
  }
  return bytes;
}

std::string shapes_of(const std::vector<Layout>& layouts) {
  std::string text;
  for (const Layout& layout : layouts) {
    text += (text.empty() ? "" : ", ") + to_string(TensorType{layout.dtype, layout.shape});
  }
  return text;
}

MemoryProfile memory_of(const Plan& plan) {
  MemoryProfile memory;
  memory.arena_bytes = plan.arena_bytes();
  const std::size_t steps = plan.steps().size();
  std::vector<std::size_t> alive(steps + 1), over_inputs(steps + 1), ended(steps + 1);
  const auto last_step = [&](const Plan::Block& block) {
    return block.is_result ? steps - 1 : block.last_step;  // a result lives until the caller drops it
  };
  for (const Plan::Block& block : plan.blocks()) {
    memory.sum_bytes += block.bytes;
    alive[block.first_step] += block.bytes;
    ended[last_step(block) + 1] += block.bytes;
  }
  for (std::size_t at = 1; at <= steps; ++at) alive[at] += alive[at - 1] - ended[at];
  for (const Plan::Reuse& reuse : plan.reuses()) {
    for (std::size_t at = reuse.first_step; at <= reuse.last_step; ++at) over_inputs[at] += reuse.bytes;
    memory.reused_bytes += reuse.bytes;
    ++memory.reuses;
  }
  memory.sum_bytes += memory.reused_bytes;
  const auto label = [&](std::size_t at) {
    const Step& step = *plan.steps()[at];
    return step.node() == nullptr ? step.kind() : node_label(*step.node());
  };
  std::size_t peak = 0;
  for (std::size_t at = 0; at < steps; ++at) {
    if (alive[at] > alive[peak]) peak = at;
    memory.peak_bytes_without_reuse = std::max(memory.peak_bytes_without_reuse, alive[at] + over_inputs[at]);
    memory.timeline.emplace_back(label(at), alive[at]);
  }
  if (steps == 0) return memory;
  memory.peak_bytes = alive[peak];
  memory.peak_step = fmt::format("step {}, {}", peak, label(peak));
  for (const Plan::Block& block : plan.blocks()) {
    if (block.first_step > peak || last_step(block) < peak) continue;
    memory.at_peak.push_back({block.node == nullptr ? "copy" : node_label(*block.node),
                              block.node == nullptr ? "" : to_string(block.node->where()), block.bytes,
                              block.is_result});
  }
  std::ranges::stable_sort(memory.at_peak, std::greater<>(), &MemoryProfile::Value::bytes);
  return memory;
}

}  // namespace

void Function::State::add_rows(const Plan& plan, std::vector<Profile::Row>& rows) {
  for (const Plan::NodeWork& work : plan.work()) {
    Profile::Row row;
    row.label = node_label(*work.node);
    row.where = to_string(work.node->where());
    row.shapes = shapes_of(work.inputs) + " -> " + shapes_of(work.outputs);
    row.is_transfer = row.label.find("FromGpu") != std::string::npos ||
                      row.label.starts_with("GpuFromHost") || row.label.starts_with("GpuToGpu");
    row.calls = plan.times()->calls();
    row.bytes = bytes_of(work.inputs) + bytes_of(work.outputs);
    row.operations = operation_count(*work.node, work.inputs, work.outputs);
    for (const std::size_t step : work.steps) {
      row.kind = plan.steps()[step]->kind();
      row.seconds += plan.times()->seconds(step);
    }
    rows.push_back(std::move(row));
  }
}

CompileTimes Function::State::times() const {
  const std::lock_guard guard(making_);
  return times_;
}

Profile Function::State::profile() const {
  Profile profile;
  profile.function = definition.name;
  profile.calls = sampler_.calls();
  profile.measured_calls = sampler_.measured();
  profile.seconds = sampler_.seconds();
  profile.measuring_seconds = sampler_.cost_seconds();
  {
    const std::lock_guard guard(making_);
    profile.compile = times_;
    profile.rewriting = rewriting_;
    profile.rows = retired_rows_;
  }
  for (const std::shared_ptr<Plan>& plan : plans.all()) {
    add_rows(*plan, profile.rows);
    profile.memory.push_back(memory_of(*plan));
  }
  std::ranges::stable_sort(profile.rows, std::greater<>(), &Profile::Row::seconds);
  profile.peak = machine_peak(definition.device);
  if (definition.device.is_host() && profile.peak.operations_per_second > 0) {
    for (const Profile::Row& row : profile.rows) {
      if (row.seconds < 0.01) break;  // what is shorter, and comes behind, is too short to go by
      note_operations_reached(row.operations * static_cast<double>(row.calls) / row.seconds);
    }
    profile.peak = machine_peak(definition.device);
  }
  return profile;
}

}  // namespace croton
