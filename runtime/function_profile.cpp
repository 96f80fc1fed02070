#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/runtime/function_state.h"
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

}  // namespace

void Function::State::add_rows(const Plan& plan, std::vector<Profile::Row>& rows) {
  for (const Plan::NodeWork& work : plan.work()) {
    Profile::Row row;
    row.label = node_label(*work.node);
    row.where = to_string(work.node->where());
    row.shapes = shapes_of(work.inputs) + " -> " + shapes_of(work.outputs);
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
  profile.calls = calls_.load(std::memory_order_relaxed);
  profile.seconds = 1e-9 * static_cast<double>(call_nanoseconds_.load(std::memory_order_relaxed));
  {
    const std::lock_guard guard(making_);
    profile.compile = times_;
    profile.rewriting = rewriting_;
    profile.rows = retired_rows_;
  }
  for (const std::shared_ptr<Plan>& plan : plans.all()) add_rows(*plan, profile.rows);
  std::ranges::stable_sort(profile.rows, std::greater<>(), &Profile::Row::seconds);
  return profile;
}

}  // namespace croton
