#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"
#include "croton/ops/transfer.h"
#include "croton/ops/view_layout.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

namespace {

bool has_runtime_integers(const Node& node) {
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    if (!static_integer(node.input(i))) return true;
  }
  return false;
}

}  // namespace

PlanBuilder::Place PlanBuilder::fresh(DType dtype, const Shape& shape, CudaDevice* device) {
  const Layout layout{dtype, shape, contiguous_strides(shape)};
  return {new_root({.kind = Root::Kind::computed, .device = device, .bytes = bytes_of(layout)}), 0, layout};
}

PlanBuilder::Place PlanBuilder::copy(const Place& from) {
  CudaDevice* device = root_of(from).device;
  const Place to = fresh(from.layout.dtype, from.layout.shape, device);
  if (is_contiguous(from.layout)) {
    std::unique_ptr<Step> step;
    if (device != nullptr)
      step = std::make_unique<CudaCopyStep>(nullptr, *device, bytes_of(from.layout));
    else
      step = std::make_unique<CopyStep>(nullptr, bytes_of(from.layout));
    add_draft(std::move(step), {from.pointer(), to.pointer()});
    return to;
  }
  const Variable strided(Node::make_input(type_of(from), "", {}));
  plan_->nodes_.push_back(make_node(contiguous_op(), {strided}));
  add_computation(*plan_->nodes_.back(), {from}, {to});
  return to;
}

/// The node itself, or one like it whose output extents are known: a rewrite may have lost them.
const Node& PlanBuilder::concrete(const Node& node) {
  bool is_known = true;
  for (std::size_t i = 0; i < node.output_count(); ++i) is_known = is_known && node.type(i).shape.is_known();
  if (is_known) return node;
  std::vector<Variable> inputs;
  for (const Variable& input : node.inputs()) {
    if (input.is_constant()) {
      inputs.push_back(input);
      continue;
    }
    inputs.emplace_back(Node::make_input(type_of(place_of(input)), input.name(), input.node()->where()));
  }
  for (const std::size_t i : node.op().shape_inputs(node)) {
    if (!inputs[i].is_constant()) inputs[i] = constant(request_.value_of(node.input(i)));
  }
  plan_->nodes_.push_back(make_node(node.op(), std::move(inputs), node.attributes(), node.where()));
  return *plan_->nodes_.back();
}

void PlanBuilder::add_node(const Node& node) {
  if (request_.checks.observer == nullptr) return add_node_steps(node);
  add_probe(node, false);
  add_node_steps(node);
  add_fault_check();
  add_probe(node, true);
  ++position_;
}

void PlanBuilder::add_node_steps(const Node& node) {
  if (is_transfer(node.op())) return add_transfer(node);
  if (!node.op().view_map(node).empty() && add_view(node)) return;
  if (add_join_in_place(node)) return;
  const Node& known = concrete(node);
  std::vector<Place> inputs, outputs;
  CudaDevice* device = device_of(node);
  for (const Variable& input : node.inputs()) {
    const bool there = device != nullptr && input.is_constant();
    inputs.push_back(there ? device_place_of(input, *device) : place_of(input));
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) outputs.push_back({});
  if (node.attributes().contains("inplace")) {
    for (const auto& [output, input] : node.op().destroy_map(node)) {
      Place& over = inputs[static_cast<std::size_t>(input)];
      over = writable(over);
      outputs[static_cast<std::size_t>(output)] = over;
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].root < 0 && i == 0) outputs[i] = place_in_join(node);
    if (outputs[i].root < 0) outputs[i] = fresh(known.type(i).dtype, known.type(i).shape, device);
    Root& root = roots_[static_cast<std::size_t>(outputs[i].root)];
    if (root.node == nullptr || !is_joined_in_place(*root.node)) root.node = &node;
    set_place(const_cast<Node&>(node).output(i), outputs[i]);
  }
  add_computation(known, std::move(inputs), std::move(outputs));
}

/// False for a view op whose layout is not known: it is computed like any other.
bool PlanBuilder::add_view(const Node& node) {
  CudaDevice* device = device_of(node);
  const bool of_device_constant = device != nullptr && node.input(0).is_constant();
  Place viewed = of_device_constant ? device_place_of(node.input(0), *device) : place_of(node.input(0));
  if (&node.op() == &subtensor_op() && has_runtime_integers(node)) {
    add_dynamic_view(node, viewed);
    return true;
  }
  const Node& known = concrete(node);
  auto view = view_layout(known, viewed.layout.shape, viewed.layout.strides);
  if (!view && !is_contiguous(viewed.layout)) {
    viewed = copy(viewed);
    view = view_layout(known, viewed.layout.shape, viewed.layout.strides);
  }
  if (!view) return false;
  const auto bytes = static_cast<std::ptrdiff_t>(size_of(viewed.layout.dtype));
  set_place(
      const_cast<Node&>(node).output(),
      {viewed.root, viewed.offset + view->offset * bytes, {viewed.layout.dtype, view->shape, view->strides}});
  return true;
}

void PlanBuilder::add_dynamic_view(const Node& node, const Place& viewed) {
  const Layout& from = viewed.layout;
  Layout to{from.dtype, concrete(node).type().shape, {}};
  const IndexPattern pattern = decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
  for (std::size_t axis = 0; axis < from.shape.size(); ++axis) {
    std::int64_t step = 1;
    if (axis < pattern.size()) {
      if (pattern[axis].is_integer) continue;
      const IndexField& field = pattern[axis].step;
      if (field.kind == IndexField::Kind::constant) step = field.value;
      if (field.kind == IndexField::Kind::input) {
        step = request_.value_of(node.input(1 + static_cast<std::size_t>(field.value))).item<std::int64_t>();
      }
    }
    const std::int64_t extent = to.shape[to.strides.size()];
    to.strides.push_back(extent <= 1 ? from.strides[axis] : from.strides[axis] * step);
  }
  auto step = std::make_unique<ViewStep>(&node, from, to);
  std::vector<Pointer> pointers{viewed.pointer()};
  for (std::size_t i = 1; i < node.input_count(); ++i) pointers.push_back(place_of(node.input(i)).pointer());
  const std::int32_t root = new_root({.kind = Root::Kind::dynamic,
                                      .index = static_cast<std::uint32_t>(view_steps_.size()),
                                      .device = root_of(viewed).device,
                                      .is_volatile = root_of(viewed).device != nullptr,
                                      .parent = viewed.root});
  view_steps_.push_back(step.get());
  add_draft(std::move(step), std::move(pointers));
  set_place(const_cast<Node&>(node).output(), {root, 0, to});
}

/// `place`, or a copy where writing over it would destroy what somebody still needs.
PlanBuilder::Place PlanBuilder::writable(const Place& place) {
  const Root& root = roots_[static_cast<std::size_t>(place.root)];
  if (!root.holds_output) {
    if (root.kind == Root::Kind::computed) return place;
    if (root.kind == Root::Kind::shared && may_write_shared_[root.index]) {
      if (!plan_->shared_written_[root.index]) add_fault_check();
      plan_->shared_written_[root.index] = true;
      first_shared_write_ = std::min(first_shared_write_, drafts_.size());
      return place;
    }
  }
  return copy(place);
}

void PlanBuilder::add_computation(const Node& node, std::vector<Place> inputs, std::vector<Place> outputs) {
  std::vector<Layout> from = layouts_of(inputs);
  const std::vector<Layout> to = layouts_of(outputs);
  bool has_elements = node.op().has_side_effect();
  for (const Layout& layout : to) has_elements = has_elements || layout.shape.count() > 0;
  if (!has_elements) return;
  const bool on_device = node.output_count() > 0 && node.type().device.is_cuda();
  const std::size_t first_draft = drafts_.size();
  const auto note_work = [&] {
    if (!request_.profile) return;
    Plan::NodeWork work{&node, from, to, {}};
    for (std::size_t i = first_draft; i < drafts_.size(); ++i) work.steps.push_back(i);
    plan_->work_.push_back(std::move(work));
  };

  if (on_device) {
    add_device_computation(node, std::move(inputs), std::move(outputs));
    return note_work();
  }
  const auto add_pointers = [&](std::vector<Pointer>& pointers) {
    for (const Place& place : inputs) pointers.push_back(place.pointer());
    for (const Place& place : outputs) pointers.push_back(place.pointer());
  };
  const auto add_library_or_kernels = [&] {
    if (auto library = make_library_step(node, from, to)) {
      std::vector<Pointer> pointers;
      add_pointers(pointers);
      pointers.push_back({-1, 0});
      if (const std::size_t bytes = library->scratch_bytes(); bytes > 0) {
        pointers.back().root = new_root({.kind = Root::Kind::computed, .bytes = bytes});
      }
      add_draft(std::make_unique<LibraryCallStep>(&node, std::move(library)), std::move(pointers));
      return true;
    }
    if (auto code = lower(node, from, to, request_.threads)) {
      add_kernels(node, std::move(*code), inputs, outputs);
      return true;
    }
    return false;
  };
  if (add_library_or_kernels()) return note_work();

  // Perhaps only because of how the operands lie.
  bool is_strided = false;
  for (Layout& layout : from) {
    if (is_contiguous(layout)) continue;
    is_strided = true;
    layout.strides = contiguous_strides(layout.shape);
  }
  if (is_strided && &node.op() != &contiguous_op() && !node.attributes().contains("inplace") &&
      (make_library_step(node, from, to) != nullptr || lower(node, from, to, request_.threads))) {
    for (Place& place : inputs) {
      if (!is_contiguous(place.layout)) place = copy(place);
    }
    add_library_or_kernels();
    return note_work();
  }
  std::vector<Pointer> pointers;
  add_pointers(pointers);
  from = layouts_of(inputs);
  add_draft(std::make_unique<ReferenceStep>(&node, from, to), std::move(pointers));
  note_work();
}

std::vector<Layout> PlanBuilder::layouts_of(std::span<const Place> places) {
  std::vector<Layout> layouts;
  for (const Place& place : places) layouts.push_back(place.layout);
  return layouts;
}

/// What stands for a buffer of a lowered kernel. `scratch` and `fault` are roots.
PlanBuilder::Pointer PlanBuilder::pointer_of(const StepBuffer& buffer, std::span<const Place> inputs,
                                             std::span<const Place> outputs,
                                             std::span<const std::int32_t> scratch, std::int32_t fault) {
  switch (buffer.kind) {
    case StepBuffer::Kind::input:
      return inputs[buffer.index].pointer();
    case StepBuffer::Kind::output:
      return outputs[buffer.index].pointer();
    case StepBuffer::Kind::scratch:
      return {scratch[buffer.index], 0};
    case StepBuffer::Kind::fault:
      break;
  }
  return {fault, 0};
}

void PlanBuilder::add_kernels(const Node& node, NodeCode code, std::span<const Place> inputs,
                              std::span<const Place> outputs) {
  std::vector<std::int32_t> scratch;
  for (const std::int64_t bytes : code.scratch_bytes) {
    scratch.push_back(new_root({.kind = Root::Kind::computed, .bytes = static_cast<std::size_t>(bytes)}));
  }
  for (LoweredKernel& lowered : code.kernels) {
    std::vector<Pointer> pointers;
    std::int32_t fault = -1;
    for (const StepBuffer& buffer : lowered.buffers) {
      if (buffer.kind == StepBuffer::Kind::fault)
        fault = new_root({.kind = Root::Kind::computed, .bytes = sizeof(std::int64_t)});
      pointers.push_back(pointer_of(buffer, inputs, outputs, scratch, fault));
    }
    const std::size_t position = kernels_.size();
    kernels_.push_back(std::move(lowered.kernel));
    if (fault < 0) {
      add_draft(std::make_unique<KernelStep>(&node, position), std::move(pointers));
      continue;
    }
    const std::size_t kernel_pointers = pointers.size();
    for (const Place& input : inputs) pointers.push_back(input.pointer());
    pointers.push_back({fault, 0});
    add_draft(std::make_unique<FaultingKernelStep>(&node, position, layouts_of(inputs), kernel_pointers),
              std::move(pointers));
  }
}

bool PlanBuilder::add_results() {
  plan_->output_count_ = request_.output_count;
  const auto add = [&](Place place) {
    // Where nothing is recorded addresses may differ from call to call.
    const bool is_recorded = drafts_.size() >= CudaPlan::least_steps_of_a_graph;
    const auto can_be_result = [&](const Root& root) {
      return root.kind == Root::Kind::computed && root.result < 0 && place.offset == 0 &&
             is_contiguous(place.layout) && root.bytes == bytes_of(place.layout) &&
             !(root.is_pinned_down && is_recorded) && request_.checks.guard_bytes == 0;
    };
    if (!can_be_result(roots_[static_cast<std::size_t>(place.root)])) place = copy(place);
    roots_[static_cast<std::size_t>(place.root)].result = static_cast<std::int32_t>(plan_->results_.size());
    plan_->results_.push_back({.type = type_of(place), .pool = {}, .patches = {}});
    plan_->results_.back().pool = result_pool(place, plan_->results_.back());
  };
  for (std::size_t k = 0; k < request_.output_count; ++k) add(place_of(graph_.outputs()[k]));
  for (std::size_t j = 0; j < request_.updated.size(); ++j) {
    const Variable& value = graph_.outputs()[request_.output_count + j];
    const Place place = place_of(value);
    const Root& root = roots_[static_cast<std::size_t>(place.root)];
    const bool is_own = root.kind == Root::Kind::shared &&
                        graph_.shared()[root.index].node()->cell().get() == request_.updated[j];
    if (is_own) {
      const Layout& whole = place_of(graph_.shared()[root.index]).layout;
      const bool is_whole =
          place.offset == 0 && place.layout.shape == whole.shape && is_contiguous(place.layout);
      if (is_whole) {
        plan_->updates_.push_back({j, std::nullopt});
        continue;
      }
      if (plan_->shared_written_[root.index]) return false;
    }
    plan_->updates_.push_back({j, plan_->results_.size()});
    add(place);
  }
  return true;
}

}  // namespace croton
