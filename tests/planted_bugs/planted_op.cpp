#include "planted_op.h"

#include <map>
#include <memory>

#include "croton/graph/tensor.h"
#include "croton/runtime/own_library_step.h"

namespace planted {

using namespace croton;

namespace {

class PlantedOp final : public Op {
 public:
  explicit PlantedOp(Parts parts) : Op(parts.name), parts_(std::move(parts)) {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (parts_.infer) return parts_.infer(inputs);
    return {inputs[0].type()};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return parts_.evaluate(inputs);
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return parts_.grad ? parts_.grad(node, gradients) : Op::grad(node, gradients);
  }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override {
    return parts_.inplace_candidates;
  }

 private:
  Parts parts_;
};

class PlantedStep final : public LibraryStep {
 public:
  PlantedStep(std::function<void(const Memory&)> step, std::span<const Layout> inputs,
              std::span<const Layout> outputs)
      : step_(std::move(step)),
        inputs_(inputs.begin(), inputs.end()),
        outputs_(outputs.begin(), outputs.end()) {}
  void run(void* const* buffers) override { step_({inputs_, outputs_, buffers}); }
  std::string description() const override { return "planted"; }

 private:
  std::function<void(const Memory&)> step_;
  std::vector<Layout> inputs_, outputs_;
};

}  // namespace

const Op& planted_op(const Parts& parts) {
  static std::map<std::string, std::unique_ptr<PlantedOp>> ops;
  std::unique_ptr<PlantedOp>& op = ops[parts.name];
  if (op == nullptr) {
    op = std::make_unique<PlantedOp>(parts);
    if (parts.lower) register_lowering(*op, parts.lower);
    if (parts.step) {
      register_library_step(*op, [step = parts.step](const Node&, std::span<const Layout> inputs,
                                                     std::span<const Layout> outputs) {
        return std::make_unique<PlantedStep>(step, inputs, outputs);
      });
    }
  }
  return *op;
}

std::vector<float> floats(const Tensor& tensor) { return tensor.astype(DType::float32).to_vector<float>(); }

Tensor map(const Tensor& x, const std::function<float(float)>& f) {
  std::vector<float> values = floats(x);
  for (float& value : values) value = f(value);
  return Tensor(values, x.shape()).astype(x.dtype());
}

}  // namespace planted
