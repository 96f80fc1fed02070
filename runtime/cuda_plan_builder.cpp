#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/shape_ops.h"
#include "croton/runtime/block_pool.h"
#include "croton/runtime/byte_text.h"
#include "croton/runtime/cuda_storage.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

namespace {

// Results of libraries with fewer bytes are copied: that costs less than a further recorded graph.
constexpr std::size_t least_bytes_in_place = std::size_t{1} << 24;

/// The elements lie side by side in some order of the axes.
bool is_dense(const Layout& layout) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // stride, extent
  for (std::size_t i = 0; i < layout.shape.size(); ++i) {
    if (layout.shape[i] != 1) axes.emplace_back(layout.strides[i], layout.shape[i]);
  }
  std::ranges::sort(axes);
  std::int64_t expected = 1;
  for (const auto& [stride, extent] : axes) {
    if (stride != expected) return false;
    expected *= extent;
  }
  return true;
}

}  // namespace

/// Where the node computes; null: on the host.
CudaDevice* PlanBuilder::device_of(const Node& node) {
  const Device device = node.output_count() > 0 ? node.type().device : Device();
  return device.is_cuda() ? &CudaDevice::get(device.ordinal()) : nullptr;
}

/// A constant that a node on the device reads: uploaded once.
const PlanBuilder::Place& PlanBuilder::device_place_of(const Variable& constant, CudaDevice& device) {
  auto& places = device_constants_[&device];
  const auto entry = places.find(constant);
  if (entry != places.end()) return entry->second;
  const Tensor value = constant.constant_value().to_host().contiguous();
  const std::int32_t root = fixed_root(plan_->cuda_->add_constant(device, value), device);
  return places
      .emplace(constant, Place{root, 0, {value.dtype(), value.shape(), contiguous_strides(value.shape())}})
      .first->second;
}

/// Memory that the device reaches, at the same address at every call.
std::int32_t PlanBuilder::fixed_root(void* address, CudaDevice& device) {
  device_constant_addresses_.push_back(address);
  return new_root({.kind = Root::Kind::constant,
                   .index = static_cast<std::uint32_t>(device_constant_addresses_.size() - 1),
                   .device = &device});
}

void* PlanBuilder::constant_address(const Root& root) const {
  return root.device != nullptr ? device_constant_addresses_[root.index]
                                : plan_->constants_[root.index].raw_data();
}

void PlanBuilder::add_transfer(const Node& node) {
  const Variable& input = node.input(0);
  const Variable output = const_cast<Node&>(node).output();
  CudaDevice* const target = device_of(node);
  if (target != nullptr && input.is_constant()) return set_place(output, device_place_of(input, *target));
  const Place from = place_of(input);
  const std::size_t first_draft = drafts_.size();
  const bool is_on_host = root_of(from).device == nullptr;
  const Place to = target == nullptr ? download(&node, from)
                   : is_on_host      ? upload(&node, from, *target)
                                     : copy_between_devices(&node, from, *target);
  set_place(output, to);
  if (!request_.profile) return;
  Plan::NodeWork work{&node, {from.layout}, {to.layout}, {}};
  for (std::size_t i = first_draft; i < drafts_.size(); ++i) work.steps.push_back(i);
  plan_->work_.push_back(std::move(work));
}

PlanBuilder::Place PlanBuilder::copy_between_devices(const Node* node, Place from, CudaDevice& device) {
  CudaDevice& source = *root_of(from).device;
  if (&source == &device) return from;
  if (!is_contiguous(from.layout)) from = copy(from);
  const Place to = fresh(from.layout.dtype, from.layout.shape, &device);
  roots_[static_cast<std::size_t>(to.root)].node = node;
  add_draft(std::make_unique<PeerCopyStep>(node, source, device, bytes_of(from.layout)),
            {from.pointer(), to.pointer()});
  return to;
}

PlanBuilder::Place PlanBuilder::upload(const Node* node, Place from, CudaDevice& device) {
  if (!is_contiguous(from.layout)) from = copy(from);
  const Place to = fresh(from.layout.dtype, from.layout.shape, &device);
  roots_[static_cast<std::size_t>(to.root)].node = node;
  add_draft(std::make_unique<UploadStep>(node, device, bytes_of(from.layout)),
            {from.pointer(), to.pointer()});
  return to;
}

PlanBuilder::Place PlanBuilder::download(const Node* node, Place from) {
  if (!is_contiguous(from.layout)) from = copy(from);
  const Place to = fresh(from.layout.dtype, from.layout.shape);
  add_draft(std::make_unique<DownloadStep>(node, *root_of(from).device, bytes_of(from.layout)),
            {from.pointer(), to.pointer()});
  roots_[static_cast<std::size_t>(to.root)].fetched_by = root_of(from).device;
  return to;
}

void PlanBuilder::add_device_computation(const Node& node, std::vector<Place> inputs,
                                         std::vector<Place> outputs) {
  CudaDevice& device = *device_of(node);
  const GpuTraits gpu{.multiprocessors = device.info().multiprocessors,
                      .architecture = device.info().architecture()};
  const auto add = [&] {
    if (add_device_library(node, inputs, outputs)) return true;
    auto code = lower_for_gpu(node, layouts_of(inputs), layouts_of(outputs), gpu);
    if (!code) return false;
    add_device_kernels(node, std::move(*code), inputs, outputs);
    return true;
  };
  if (add()) return;
  // Perhaps only because of how the operands lie.
  const bool is_strided =
      std::ranges::any_of(inputs, [](const Place& place) { return !is_contiguous(place.layout); });
  if (is_strided && &node.op() != &contiguous_op() && !node.attributes().contains("inplace")) {
    const std::vector<Place> as_given = inputs;
    for (Place& place : inputs) place.layout.strides = contiguous_strides(place.layout.shape);
    const bool helps = make_cuda_library_step(device, node, layouts_of(inputs), layouts_of(outputs)) ||
                       lower_for_gpu(node, layouts_of(inputs), layouts_of(outputs), gpu);
    inputs = as_given;
    if (helps) {
      for (Place& place : inputs) {
        if (!is_contiguous(place.layout)) place = copy(place);
      }
      if (add()) return;
    }
  }
  add_on_host_instead(node, std::move(inputs), std::move(outputs));
}

/// A copy of what lies elsewhere at every call, at a fixed place; made once for all who read it.
PlanBuilder::Place PlanBuilder::fixed_place(const Place& place) {
  if (!is_dense(place.layout)) return copy(place);
  const auto [entry, is_new] =
      fixed_places_.try_emplace({place.root, place.offset, bytes_of(place.layout)}, -1);
  if (is_new) {
    entry->second = new_root(
        {.kind = Root::Kind::computed, .device = root_of(place).device, .bytes = bytes_of(place.layout)});
    add_draft(std::make_unique<CudaCopyStep>(nullptr, *root_of(place).device, bytes_of(place.layout)),
              {place.pointer(), {entry->second, 0}});
  }
  return {entry->second, 0, place.layout};
}

/// Libraries read and write where the addresses are the same at every call, so that a recorded graph stays
/// valid; results too large to be copied they write where these lie, and a graph is recorded for each place.
bool PlanBuilder::add_device_library(const Node& node, std::span<const Place> inputs,
                                     std::span<const Place> outputs) {
  CudaDevice& device = *device_of(node);
  std::vector<Layout> layouts = layouts_of(inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (root_of(inputs[i]).is_volatile && !is_dense(layouts[i]))
      layouts[i].strides = contiguous_strides(layouts[i].shape);
  }
  const auto begin = Trace::Time::clock::now();
  auto call = make_cuda_library_step(device, node, layouts, layouts_of(outputs));
  if (call == nullptr) return false;
  if (Trace* trace = Trace::active(); trace != nullptr && request_.profile)
    trace->slice(trace->label("choose " + call->description()), begin, Trace::Time::clock::now());
  std::vector<Place> from(inputs.begin(), inputs.end());
  for (Place& place : from) {
    const Root& root = root_of(place);
    const bool is_host_data = root.device == nullptr && root.kind != Root::Kind::constant;
    if (is_host_data)
      place = upload(nullptr, place, device);
    else if (root.is_volatile)
      place = fixed_place(place);
    else if (place.offset % static_cast<std::ptrdiff_t>(call->alignment()) != 0)
      place = copy(place);
  }
  std::vector<Pointer> pointers;
  for (const Place& place : from) pointers.push_back(place.pointer());
  for (const Place& place : outputs) {
    pointers.push_back(place.pointer());
    Root& root = roots_[static_cast<std::size_t>(place.root)];
    root.is_pinned_down = root.bytes < least_bytes_in_place;
  }
  pointers.push_back({-1, 0});
  if (const std::size_t bytes = call->scratch_bytes(); bytes > 0) {
    pointers.back().root =
        new_root({.kind = Root::Kind::computed, .device = &device, .node = &node, .bytes = bytes});
  }
  const CudaLibraryStep::Rest rest = call->rest();
  add_draft(std::make_unique<CudaLibraryCallStep>(&node, device, std::move(call)), std::move(pointers));
  if (rest != CudaLibraryStep::Rest::nothing) {
    const bool adds_row = rest == CudaLibraryStep::Rest::row_and_activation;
    add_device_kernels(node, lower_product_rest(node, layouts_of(inputs), outputs[0].layout, adds_row),
                       inputs, outputs);
  }
  return true;
}

void PlanBuilder::add_device_kernels(const Node& node, NodeCode code, std::span<const Place> inputs,
                                     std::span<const Place> outputs) {
  CudaDevice& device = *device_of(node);
  std::vector<Place> from(inputs.begin(), inputs.end());
  std::vector<std::int32_t> scratch;
  for (const std::int64_t bytes : code.scratch_bytes) {
    scratch.push_back(new_root({.kind = Root::Kind::computed,
                                .device = &device,
                                .node = &node,
                                .bytes = static_cast<std::size_t>(bytes)}));
  }
  std::int32_t fault = -1;
  if (code.may_fault)
    fault = fixed_root(plan_->cuda_->add_constant(device, Tensor::zeros({1}, DType::int64)), device);
  for (LoweredKernel& lowered : code.kernels) {
    std::vector<Pointer> pointers;
    for (const StepBuffer& buffer : lowered.buffers) {
      // Integers that decide shapes and indices lie on the host.
      if (buffer.kind == StepBuffer::Kind::input && root_of(from[buffer.index]).device == nullptr)
        from[buffer.index] = upload(nullptr, from[buffer.index], device);
      pointers.push_back(pointer_of(buffer, from, outputs, scratch, fault));
    }
    add_draft(std::make_unique<CudaKernelStep>(&node, device, device_kernels_.size()), std::move(pointers));
    device_kernels_.push_back(std::move(lowered.kernel));
  }
  if (code.may_fault) add_fault_report(node, fault, inputs);
}

/// What placement took for computable on the device by its op, but is not for these operands.
void PlanBuilder::add_on_host_instead(const Node& node, std::vector<Place> inputs,
                                      std::vector<Place> outputs) {
  std::vector<Variable> operands;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (node.input(i).is_constant()) {
      operands.push_back(node.input(i));
      inputs[i] = place_of(node.input(i));
      continue;
    }
    if (root_of(inputs[i]).device != nullptr) inputs[i] = download(nullptr, inputs[i]);
    operands.emplace_back(
        Node::make_input(type_of(inputs[i]), node.input(i).name(), node.input(i).node()->where()));
  }
  plan_->nodes_.push_back(
      make_node(node.op(), std::move(operands), node.attributes().without("inplace"), node.where()));
  std::vector<Place> computed;
  for (const Place& output : outputs) computed.push_back(fresh(output.layout.dtype, output.layout.shape));
  add_computation(*plan_->nodes_.back(), std::move(inputs), computed);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!is_contiguous(outputs[i].layout))
      throw InternalError(node_label(node) + " has no device code and a strided output in place");
    add_draft(std::make_unique<UploadStep>(nullptr, *device_of(node), bytes_of(outputs[i].layout)),
              {computed[i].pointer(), outputs[i].pointer()});
  }
}

void PlanBuilder::compile_device_kernels() {
  if (device_kernels_.empty()) return;
  std::map<CudaDevice*, std::vector<CudaKernelStep*>> steps;
  for (const Draft& draft : drafts_) {
    if (auto* step = dynamic_cast<CudaKernelStep*>(draft.step.get())) steps[&step->device()].push_back(step);
  }
  for (const auto& [device, list] : steps) {
    std::vector<Kernel> kernels;
    for (const CudaKernelStep* step : list)
      kernels.push_back(std::move(device_kernels_[step->kernel_position]));
    const auto loaded = load_cuda_kernels(*device, kernels);
    for (std::size_t i = 0; i < list.size(); ++i) list[i]->kernel = loaded[i];
  }
}

/// For the report when the device has no room.
std::string PlanBuilder::largest_buffers(const CudaDevice& device) const {
  std::vector<const Root*> buffers;
  for (const Root& root : roots_) {
    if (root.device == &device && root.kind == Root::Kind::computed && root.result < 0 && root.is_touched)
      buffers.push_back(&root);
  }
  std::ranges::stable_sort(buffers, std::greater<>(), &Root::bytes);
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(buffers.size(), 6); ++i) {
    const Root& root = *buffers[i];
    text += fmt::format("\n    {:>10}  {}", byte_text(root.bytes),
                        root.node == nullptr ? std::string("a copy") : node_label(*root.node));
    if (root.node != nullptr && root.node->where().known())
      text += fmt::format(", made at {}", to_string(root.node->where()));
  }
  return text;
}

Ref<ResultPool> PlanBuilder::result_pool(const Place& place, Plan::Result& result) {
  const std::size_t bytes = bytes_of(place.layout);
  const Root& root = root_of(place);
  if (root.device != nullptr) {
    return Ref<ResultPool>(new CudaResultPool(
        *root.device, bytes, std::make_shared<const std::string>("a result of " + *plan_->cuda_->label())));
  }
  result.is_fetched = root.fetched_by != nullptr;
  if (result.is_fetched) return Ref<ResultPool>(new FetchedResultPool(*root.fetched_by, bytes));
  return Ref<ResultPool>(new BlockPool(bytes));
}

}  // namespace croton
