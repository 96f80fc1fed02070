#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

class Contiguous final : public Op {
 public:
  Contiguous() : Op("contiguous") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.size() != 1) throw TypeError(fmt::format("contiguous takes 1 input, got {}", inputs.size()));
    return {inputs[0].type()};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs[0].copy()};
  }
  std::vector<InputGradient> grad(const Node&, std::span<const Variable> gradients) const override {
    return {gradients[0]};
  }
  std::string label(const Node&) const override { return "Contiguous"; }
};

}  // namespace

const Op& contiguous_op() {
  static const Contiguous op;
  return op;
}
[[maybe_unused]] const Op& contiguous_registered_at_start = contiguous_op();

Variable contiguous(const Operand& x) {
  const LocationScope scope(x.where());
  return apply_op(contiguous_op(), {x.variable()});
}

}  // namespace croton
