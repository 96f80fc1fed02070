#include <fmt/format.h>

#include <cmath>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

std::int64_t arange_length(const Tensor& start, const Tensor& stop, const Tensor& step) {
  if (is_discrete(start.dtype())) {
    const auto a = start.item<std::int64_t>(), b = stop.item<std::int64_t>(), d = step.item<std::int64_t>();
    if (d == 0) throw ValueError("arange: the step must not be 0");
    if (d > 0) return b > a ? (b - a - 1) / d + 1 : 0;
    return b < a ? (a - b - 1) / -d + 1 : 0;
  }
  const auto a = start.item<double>(), b = stop.item<double>(), d = step.item<double>();
  const double n = std::ceil((b - a) / d);
  if (d == 0 || std::isnan(n) || n > 9e15) {
    throw ValueError(fmt::format("arange({}, {}, {}) has no length", a, b, d));
  }
  return n > 0 ? static_cast<std::int64_t>(n) : 0;
}

class Arange final : public Op {
 public:
  Arange() : Op("arange") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.size() != 3) {
      throw TypeError(fmt::format("arange takes start, stop and step, got {} inputs", inputs.size()));
    }
    const DType dtype = inputs[0].dtype();
    for (const Variable& input : inputs) {
      if (input.rank() != 0 || input.dtype() != dtype || is_bool(dtype)) {
        throw TypeError(fmt::format("arange takes scalars of one dtype that is not bool, got {}",
                                    to_string(input.type())));
      }
    }
    const auto start = static_value(inputs[0]), stop = static_value(inputs[1]),
               step = static_value(inputs[2]);
    if (start && stop && step) return {{dtype, {arange_length(*start, *stop, *step)}}};
    return {{dtype, {unknown}}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const DType dtype = node.type().dtype;
    Tensor result = Tensor::empty({arange_length(inputs[0], inputs[1], inputs[2])}, dtype);
    visit_dtype(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using Wide = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
      const auto start = inputs[0].item<Wide>(), step = inputs[2].item<Wide>();
      T* const out = result.data<T>();
      for (std::int64_t i = 0; i < result.size(); ++i) {
        out[i] = convert_element<T>(static_cast<Wide>(start + static_cast<Wide>(i) * step));
      }
    });
    return {result};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    std::vector<InputGradient> result(3, InputGradient::disconnected());
    if (!is_floating(node.type().dtype)) return result;
    const Variable& g = gradients[0];
    result[0] = sum(g);
    result[2] = sum(g * cast(arange(g.shape(0)), g.dtype()));
    return result;
  }
  bool connected(const Node& node, std::size_t input, std::size_t) const override {
    return is_floating(node.type().dtype) && input != 1;
  }
  std::vector<std::size_t> shape_inputs(const Node&) const override { return {0, 1, 2}; }
  std::string label(const Node& node) const override {
    return fmt::format("ARange{{dtype='{}'}}", name_of(node.type().dtype));
  }
};

}  // namespace

const Op& arange_op() {
  static const Arange op;
  return op;
}
[[maybe_unused]] const Op& arange_registered_at_start = arange_op();

Variable arange(const Operand& stop) { return arange(0, stop); }

Variable arange(const Operand& start, const Operand& stop, const Operand& step, std::optional<DType> dtype) {
  const LocationScope scope(stop.where());
  const std::vector<Operand> bounds = {start, stop, step};
  const DType type = dtype.value_or(promoted_dtype(bounds));
  std::vector<Variable> inputs;
  for (const Operand& bound : bounds) inputs.push_back(as_dtype(bound, type));
  return apply_op(arange_op(), std::move(inputs));
}

}  // namespace croton
