#include "croton/runtime/step.h"

#include <fmt/format.h>

#include <cstring>

#include "croton/graph/error.h"
#include "croton/graph/op.h"

namespace croton {

namespace {

std::vector<Tensor> tensors_at(void* const* pointers, std::span<const Layout> layouts) {
  std::vector<Tensor> tensors;
  for (const Layout& layout : layouts) {
    tensors.push_back(Tensor::view(*pointers++, layout.dtype, layout.shape, layout.strides, nullptr));
  }
  return tensors;
}

}  // namespace

void FaultingKernelStep::run(void** slots) const {
  start(slots);
  KernelStep::run(slots);
  finish(slots);
}

void FaultingKernelStep::start(void** slots) const { fault(slots) = 0; }

void FaultingKernelStep::finish(void** slots) const {
  if (fault(slots) == 0) return;
  node()->op().evaluate(*node(), tensors_at(slots + first_slot + kernel_pointers_, inputs_));
  throw InternalError(node_label(*node()) +
                      " met a value that it cannot work with, but the reference evaluator can");
}

void ReferenceStep::run(void** slots) const {
  void* const* pointers = slots + first_slot;
  const std::vector<Tensor> inputs = tensors_at(pointers, inputs_);
  pointers += inputs.size();
  const std::vector<Tensor> results = node()->op().evaluate(*node(), inputs);
  for (std::size_t i = 0; i < outputs_.size(); ++i, ++pointers) {
    const Layout& layout = outputs_[i];
    if (results[i].shape() != layout.shape || results[i].dtype() != layout.dtype) {
      throw InternalError(fmt::format("{} gave {} where {} was planned", node_label(*node()),
                                      to_string(TensorType{results[i].dtype(), results[i].shape()}),
                                      to_string(TensorType{layout.dtype, layout.shape})));
    }
    Tensor::view(*pointers, layout.dtype, layout.shape, layout.strides, nullptr).assign(results[i]);
  }
}

void CopyStep::run(void** slots) const {
  if (bytes_ > 0) std::memcpy(slots[first_slot + 1], slots[first_slot], bytes_);
}

ViewStep::ViewStep(const Node* node, const Layout& viewed, const Layout& view)
    : Step(node),
      viewed_(viewed),
      view_(view),
      pattern_(decode_index(node->attributes().get<std::vector<std::int64_t>>("index"))),
      integer_count_(node->input_count() - 1) {}

void ViewStep::run(void** slots) const {
  std::int64_t integers[3 * max_rank];
  for (std::size_t i = 0; i < integer_count_; ++i) {
    integers[i] = *static_cast<const std::int64_t*>(slots[first_slot + 1 + i]);
  }
  const bool is_empty = view_.shape.count() == 0;
  std::int64_t offset = 0;
  std::size_t out = 0;
  for (std::size_t axis = 0; axis < viewed_.shape.size(); ++axis) {
    if (axis >= pattern_.size()) {
      ++out;
      continue;
    }
    const AxisSelection selection =
        select_axis(pattern_[axis], axis, viewed_.shape[axis], std::span(integers, integer_count_));
    offset += selection.start * viewed_.strides[axis];
    if (selection.dropped) continue;
    if (selection.extent != view_.shape[out]) {
      throw InternalError(fmt::format("{} selects {} elements of axis {} where {} were planned",
                                      node_label(*node()), selection.extent, axis, view_.shape[out]));
    }
    ++out;
  }
  auto* first = static_cast<std::byte*>(slots[first_slot]);
  if (!is_empty) first += offset * static_cast<std::int64_t>(size_of(viewed_.dtype));
  for (const Patch& patch : patches) slots[patch.slot] = first + patch.offset;
}

}  // namespace croton
