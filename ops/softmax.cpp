#include <fmt/format.h>

#include <cmath>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/nnet.h"
#include "croton/ops/nnet_rows.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

std::int64_t axis_of(const Attributes& attributes) { return attributes.get<std::int64_t>("axis"); }

void require_floating(const Variable& x, const char* what) {
  if (!is_floating(x.dtype())) {
    throw TypeError(fmt::format("{} takes floating tensors, got {}", what, to_string(x.type())));
  }
}

// Replaces a line of x by its softmax, or by the logarithm of that. An infinity or a NaN spreads as the
// formula says; a line of -inf alone gives NaN.
template <class A>
void softmax_line(std::vector<A>& line, bool logarithm) {
  A largest = line[0];
  for (const A x : line) largest = x > largest || std::isnan(x) ? x : largest;
  A total = 0;
  for (const A x : line) total += std::exp(x - largest);
  for (A& x : line) x = logarithm ? x - largest - std::log(total) : std::exp(x - largest) / total;
}

Tensor softmax_value(const Tensor& x, std::size_t axis, bool logarithm) {
  Tensor result = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto from = x.elements<const T>();
    const auto to = result.elements<T>();
    std::vector<Accumulator<T>> line(static_cast<std::size_t>(x.shape()[axis]));
    for_each_line(x.shape(), axis, [&](const Shape& start) {
      Shape at = start;
      for (at[axis] = 0; at[axis] < x.shape()[axis]; ++at[axis])
        line[static_cast<std::size_t>(at[axis])] = from[at];
      softmax_line(line, logarithm);
      for (at[axis] = 0; at[axis] < x.shape()[axis]; ++at[axis])
        to[at] = T(line[static_cast<std::size_t>(at[axis])]);
    });
  });
  return result;
}

// Sums along the axis, kept as an extent of 1.
Variable line_sum(const Variable& x, std::int64_t axis) { return sum(x, static_cast<int>(axis), true); }

class SoftmaxLike : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 1) throw TypeError(fmt::format("{} takes 1 input, got {}", name(), inputs.size()));
    require_floating(inputs[0], name().c_str());
    const std::int64_t axis = axis_of(attributes);
    if (axis < 0 || axis >= inputs[0].rank()) {
      throw IndexError(
          fmt::format("{}: axis {} is outside a tensor of rank {}", name(), axis, inputs[0].rank()));
    }
    return {inputs[0].type()};
  }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{0, 0}}; }

 protected:
  static std::string axis_label(std::string_view text, const Node& node) {
    const std::int64_t axis = axis_of(node.attributes());
    return axis == node.type().rank() - 1 ? std::string(text) : fmt::format("{}{{axis={}}}", text, axis);
  }
};

class Softmax final : public SoftmaxLike {
 public:
  Softmax() : SoftmaxLike("softmax") {}
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    return {softmax_value(inputs[0], static_cast<std::size_t>(axis_of(node.attributes())), false)};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return {
        apply_op(softmax_grad_op(), {gradients[0], node.output()}, {{"axis", axis_of(node.attributes())}})};
  }
  std::string label(const Node& node) const override { return axis_label("Softmax", node); }
};

class LogSoftmax final : public SoftmaxLike {
 public:
  LogSoftmax() : SoftmaxLike("log_softmax") {}
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    return {softmax_value(inputs[0], static_cast<std::size_t>(axis_of(node.attributes())), true)};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const std::int64_t axis = axis_of(node.attributes());
    const Variable s = apply_op(softmax_op(), {node.input(0)}, {{"axis", axis}});
    return {gradients[0] - line_sum(gradients[0], axis) * s};
  }
  std::string label(const Node& node) const override { return axis_label("LogSoftmax", node); }
};

class SoftmaxGrad final : public SoftmaxLike {
 public:
  SoftmaxGrad() : SoftmaxLike("softmax_grad") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 2)
      throw TypeError(fmt::format("softmax_grad takes 2 inputs, got {}", inputs.size()));
    if (!compatible(inputs[0].type(), inputs[1].type())) {
      throw ShapeError(fmt::format("softmax_grad: the gradient {} and the softmax {} must have one type",
                                   to_string(inputs[0].type()), to_string(inputs[1].type())));
    }
    return SoftmaxLike::infer(inputs.last(1), attributes);
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const auto axis = static_cast<std::size_t>(axis_of(node.attributes()));
    const Tensor &g = inputs[0], &s = inputs[1];
    if (!(g.shape() == s.shape())) {
      throw ShapeError(fmt::format("softmax_grad: the gradient has shape {}, the softmax {}",
                                   to_string(g.shape()), to_string(s.shape())));
    }
    Tensor result = Tensor::empty(s.shape(), s.dtype());
    visit_floating(s.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = Accumulator<T>;
      const auto gs = g.elements<const T>(), ss = s.elements<const T>();
      const auto to = result.elements<T>();
      for_each_line(s.shape(), axis, [&](const Shape& start) {
        A total = 0;
        Shape at = start;
        for (at[axis] = 0; at[axis] < s.shape()[axis]; ++at[axis]) total += A(gs[at]) * A(ss[at]);
        for (at[axis] = 0; at[axis] < s.shape()[axis]; ++at[axis])
          to[at] = T(A(ss[at]) * (A(gs[at]) - total));
      });
    });
    return {result};
  }
  // y = s * (g - sum(g * s)): linear in g, quadratic in s.
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const std::int64_t axis = axis_of(node.attributes());
    const Variable &g = node.input(0), &s = node.input(1), &gy = gradients[0];
    const Variable inner = line_sum(gy * s, axis);
    return {apply_op(softmax_grad_op(), {gy, s}, {{"axis", axis}}),
            gy * (g - line_sum(g * s, axis)) - g * inner};
  }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{0, 0}, {0, 1}}; }
  std::string label(const Node& node) const override { return axis_label("SoftmaxGrad", node); }
};

class SoftmaxWithBias final : public Op {
 public:
  SoftmaxWithBias() : Op("softmax_with_bias") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.size() != 2) {
      throw TypeError(fmt::format("softmax_with_bias takes 2 inputs, got {}", inputs.size()));
    }
    return {rows_with_bias(inputs[0], inputs[1], "softmax_with_bias")};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {softmax_value(add_bias(inputs[0], inputs[1]), 1, false)};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable gx =
        apply_op(softmax_grad_op(), {gradients[0], node.output()}, {{"axis", std::int64_t{1}}});
    return {gx, sum(gx, 0)};
  }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{0, 0}}; }
  std::string label(const Node&) const override { return "SoftmaxWithBias"; }
};

Variable apply_along(const Op& op, const Operand& operand, int axis) {
  const LocationScope scope(operand.where());
  const Variable x = promote_operands(std::span(&operand, 1), true)[0];
  return apply_op(op, {x}, {{"axis", std::int64_t{normalize_axis(axis, x, op.name().c_str())}}});
}

}  // namespace

TensorType rows_with_bias(const Variable& x, const Variable& b, const char* what) {
  require_floating(x, what);
  if (x.rank() != 2 || b.rank() != 1 || x.dtype() != b.dtype()) {
    throw TypeError(fmt::format("{} takes a matrix and a vector of one dtype, got {} and {}", what,
                                to_string(x.type()), to_string(b.type())));
  }
  TensorType type = x.type();
  const std::int64_t columns = b.type().shape[0];
  if (type.shape[1] == unknown) type.shape[1] = columns;
  if (columns != unknown && columns != type.shape[1]) {
    throw ShapeError(
        fmt::format("{}: the matrix has {} columns, the bias {} entries", what, x.type().shape[1], columns));
  }
  return type;
}

Tensor add_bias(const Tensor& x, const Tensor& b) {
  if (x.shape()[1] != b.shape()[0]) {
    throw ShapeError(fmt::format("a matrix of shape {} cannot take a bias of shape {}", to_string(x.shape()),
                                 to_string(b.shape())));
  }
  Tensor result = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Accumulator<T>;
    const auto xs = x.elements<const T>(), bs = b.elements<const T>();
    const auto to = result.elements<T>();
    for_each_index(x.shape(), [&](const Shape& at) { to[at] = T(A(xs[at]) + A(bs[Shape{at[1]}])); });
  });
  return result;
}

Tensor log_softmax_rows(const Tensor& x) { return softmax_value(x, 1, true); }
Tensor softmax_rows(const Tensor& x) { return softmax_value(x, 1, false); }

const Op& softmax_op() {
  static const Softmax op;
  return op;
}
const Op& log_softmax_op() {
  static const LogSoftmax op;
  return op;
}
const Op& softmax_grad_op() {
  static const SoftmaxGrad op;
  return op;
}
const Op& softmax_with_bias_op() {
  static const SoftmaxWithBias op;
  return op;
}
[[maybe_unused]] const Op* const softmax_registered_at_start[] = {
    &softmax_op(), &log_softmax_op(), &softmax_grad_op(), &softmax_with_bias_op()};

Variable softmax(const Operand& x, int axis) { return apply_along(softmax_op(), x, axis); }
Variable log_softmax(const Operand& x, int axis) { return apply_along(log_softmax_op(), x, axis); }

}  // namespace croton
