#include "croton/ops/conv_implementations.h"

#include <string>

#include "croton/graph/error.h"

namespace croton {

namespace {

ConvDirection parse_direction(const std::string& name) {
  for (const ConvDirection direction :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    if (to_string(direction) == name) return direction;
  }
  throw ValueError("the direction of a convolution is forward, backward_inputs or backward_weights, not '" +
                   name + "'");
}

ConvProblem read_problem(const Attributes& attributes, const Variable& first, const Variable& second) {
  return conv_problem(parse_direction(attributes.get<std::string>("direction")), attributes,
                      first.type().shape, second.type().shape,
                      attributes.get_or<std::vector<std::int64_t>>("extents", {}), first.dtype());
}

Shape result_shape(const ConvProblem& problem) {
  switch (problem.direction) {
    case ConvDirection::forward:
      return problem.out_shape();
    case ConvDirection::backward_inputs:
      return problem.image_shape();
    default:
      return problem.filter_shape();
  }
}

class ConcreteConv final : public Op {
 public:
  ConcreteConv(std::string_view name, std::string_view label) : Op(name), label_(label) {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 2) {
      throw TypeError("takes two operands, got " + std::to_string(inputs.size()));
    }
    const Variable &first = inputs[0], &second = inputs[1];
    if (!first.type().shape.is_known() || !second.type().shape.is_known()) {
      throw ShapeError("a concrete convolution needs operands whose shapes are known: " + describe(first) +
                       ", " + describe(second));
    }
    if (first.dtype() != second.dtype() || !is_floating(first.dtype())) {
      throw TypeError("takes operands of one floating dtype: " + describe(first) + ", " + describe(second));
    }
    return {{first.dtype(), result_shape(read_problem(attributes, first, second))}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    return {conv_reference(concrete_conv_problem(node), inputs[0], inputs[1])};
  }

  std::string label(const Node& node) const override {
    const auto& direction = node.attributes().get<std::string>("direction");
    std::string options = direction == "forward"           ? ""
                          : direction == "backward_inputs" ? "grad_inputs"
                                                           : "grad_weights";
    if (const AttributeValue* arithmetic = node.attributes().find("arithmetic")) {
      if (!options.empty()) options += ", ";
      options += std::get<std::string>(*arithmetic);
    }
    if (const AttributeValue* tile = node.attributes().find("tile")) {
      if (!options.empty()) options += ", ";
      options += "tile=" + to_string(Shape(std::get<std::vector<std::int64_t>>(*tile)));
    }
    return options.empty() ? label_ : label_ + "{" + options + "}";
  }

 private:
  std::string label_;
};

}  // namespace

// Known by name from the start, whether or not this process has made one.
[[maybe_unused]] const Op* const conv_implementations_registered_at_start[] = {
    &dnn_conv_op(), &corr_mm_op(), &direct_conv_op(), &winograd_conv_op(), &fft_conv_op()};

const Op& dnn_conv_op() {
  static const ConcreteConv op("dnn_conv", "DnnConv");
  return op;
}
const Op& corr_mm_op() {
  static const ConcreteConv op("corr_mm", "CorrMM");
  return op;
}
const Op& direct_conv_op() {
  static const ConcreteConv op("direct_conv", "DirectConv");
  return op;
}

const Op& winograd_conv_op() {
  static const ConcreteConv op("winograd_conv", "WinogradConv");
  return op;
}
const Op& fft_conv_op() {
  static const ConcreteConv op("fft_conv", "FftConv");
  return op;
}

ConvProblem concrete_conv_problem(const Node& node) {
  ConvProblem problem = read_problem(node.attributes(), node.input(0), node.input(1));
  problem.device = node.type().device;
  return problem;
}

Variable apply_concrete_conv(const Op& op, const ConvProblem& problem, const Variable& first,
                             const Variable& second, const Attributes& attributes) {
  Attributes all = attributes.with("direction", to_string(problem.direction));
  if (problem.direction != ConvDirection::forward) {
    const Shape& extents =
        problem.direction == ConvDirection::backward_inputs ? problem.image : problem.kernel;
    all = all.with("extents", std::vector<std::int64_t>(extents.begin(), extents.end()));
  }
  return apply_op(op, {first, second}, std::move(all));
}

}  // namespace croton
