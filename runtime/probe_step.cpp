#include "croton/runtime/node_observer.h"

#include "croton/runtime/cuda_steps.h"

namespace croton {

std::vector<Layout> ProbeStep::input_layouts() const {
  std::vector<Layout> layouts;
  for (const ProbedValue& input : inputs_) layouts.push_back(input.layout);
  return layouts;
}

void ProbeStep::run(void** slots) const {
  void* const* pointers = slots + first_slot;
  const auto views = [&](const std::vector<ProbedValue>& values) {
    std::vector<Tensor> tensors;
    for (const auto& [layout, device] : values) {
      void* first = *pointers++;
      tensors.push_back(device != nullptr
                            ? fetched_tensor(*device, first, layout)
                            : Tensor::view(first, layout.dtype, layout.shape, layout.strides, nullptr));
    }
    return tensors;
  };
  const std::vector<Tensor> inputs = views(inputs_);
  const std::vector<Tensor> outputs = views(outputs_);
  const NodeCall call{*node(), position_, inputs, outputs};
  if (outputs_.empty()) {
    observer_->before(call);
  } else {
    observer_->after(call);
  }
}

}  // namespace croton
