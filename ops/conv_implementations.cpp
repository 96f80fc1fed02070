#include "croton/ops/conv_implementations.h"

#include <fmt/format.h>

#include <string>

#include "croton/graph/error.h"
#include "croton/ops/pool.h"

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

ConvProblem read_problem(ConvLayout layout, const Attributes& attributes, const Variable& first,
                         const Variable& second) {
  const auto shape = [&](const Variable& x) {
    const Shape& lying = x.type().shape;
    return permuted(lying, axes_out_of(layout, lying.size()));
  };
  Shape second_shape = shape(second);
  if (const Shape windows = conv_maxima(attributes); !windows.empty()) {
    for (std::size_t i = 0; i < 2; ++i) second_shape[second_shape.size() - 2 + i] *= windows[i];
  }
  return conv_problem(parse_direction(attributes.get<std::string>("direction")), attributes, shape(first),
                      second_shape, attributes.get_or<std::vector<std::int64_t>>("extents", {}),
                      first.dtype());
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
    const bool of_maxima = attributes.contains("maxima");
    if (inputs.size() != (of_maxima ? 3 : 2)) {
      throw TypeError(fmt::format("takes {} operands, got {}", of_maxima ? "three" : "two", inputs.size()));
    }
    const Variable &first = inputs[0], &second = inputs[1];
    if (of_maxima && inputs[2].type() != TensorType{DType::uint8, second.type().shape, second.type().device})
      throw TypeError("takes places of maxima as uint8, one for each: " + describe(inputs[2]));
    if (!first.type().shape.is_known() || !second.type().shape.is_known()) {
      throw ShapeError("a concrete convolution needs operands whose shapes are known: " + describe(first) +
                       ", " + describe(second));
    }
    if (first.dtype() != second.dtype() || !is_floating(first.dtype())) {
      throw TypeError("takes operands of one floating dtype: " + describe(first) + ", " + describe(second));
    }
    const ConvLayout layout = conv_layout_of(*this);
    if (layout == ConvLayout::c01b && (first.rank() != 4 || second.rank() != 4))
      throw TypeError("takes tensors of rank 4 (c01b): " + describe(first) + ", " + describe(second));
    const Shape shape = result_shape(read_problem(layout, attributes, first, second));
    return {{first.dtype(), permuted(shape, axes_into(layout, shape.size()))}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const ConvProblem problem = concrete_conv_problem(node);
    const ConvLayout layout = conv_layout_of(*this);
    const auto to_bc01 = [&](const Tensor& x) {
      return x.transpose(Shape(axes_out_of(layout, x.shape().size())));
    };
    const Shape windows = conv_maxima(node.attributes());
    const Tensor second = windows.empty()
                              ? inputs[1]
                              : spread_maxima(inputs[2], inputs[1], windows, windows, {0, 0}, problem.out);
    const Tensor result = conv_reference(problem, to_bc01(inputs[0]), to_bc01(second));
    return {result.transpose(Shape(axes_into(layout, result.shape().size()))).contiguous()};
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
    if (node.attributes().contains("folded")) options += ", folded";
    for (const char* name : {"algo", "compute_precision"}) {
      const AttributeValue* said = node.attributes().find(name);
      if (said == nullptr) continue;
      if (!options.empty()) options += ", ";
      options += std::string(name) + "=" + std::get<std::string>(*said);
    }
    for (const char* name : {"tile", "maxima"}) {
      const AttributeValue* said = node.attributes().find(name);
      if (said == nullptr) continue;
      if (!options.empty()) options += ", ";
      options += std::string(name) + "=" + to_string(Shape(std::get<std::vector<std::int64_t>>(*said)));
    }
    return options.empty() ? label_ : label_ + "{" + options + "}";
  }

 private:
  std::string label_;
};

}  // namespace

// Known by name from the start, whether or not this process has made one.
[[maybe_unused]] const Op* const conv_implementations_registered_at_start[] = {
    &dnn_conv_op(), &corr_mm_op(),   &direct_conv_op(),  &winograd_conv_op(),
    &fft_conv_op(), &c01b_conv_op(), &dnn_b01c_conv_op()};

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

const Op& c01b_conv_op() {
  static const ConcreteConv op("c01b_conv", "C01bConv");
  return op;
}

const Op& dnn_b01c_conv_op() {
  static const ConcreteConv op("dnn_b01c_conv", "DnnB01cConv");
  return op;
}

Shape conv_maxima(const Attributes& attributes) {
  return attributes.get_or<std::vector<std::int64_t>>("maxima", {});
}

ConvLayout conv_layout_of(const Op& op) {
  if (&op == &c01b_conv_op()) return ConvLayout::c01b;
  return &op == &dnn_b01c_conv_op() ? ConvLayout::b01c : ConvLayout::bc01;
}

ConvProblem concrete_conv_problem(const Node& node) {
  ConvProblem problem =
      read_problem(conv_layout_of(node.op()), node.attributes(), node.input(0), node.input(1));
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
