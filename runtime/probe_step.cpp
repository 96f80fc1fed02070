#include "croton/runtime/node_observer.h"

namespace croton {

void ProbeStep::run(void** slots) const {
  void* const* pointers = slots + first_slot;
  const auto views = [&](const std::vector<Layout>& layouts) {
    std::vector<Tensor> tensors;
    for (const Layout& layout : layouts) {
      tensors.push_back(Tensor::view(*pointers++, layout.dtype, layout.shape, layout.strides, nullptr));
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
