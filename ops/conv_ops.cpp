#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/graph/text.h"
#include "croton/ops/conv.h"
#include "croton/ops/conv3d.h"
#include "croton/ops/conv_arguments.h"
#include "croton/ops/conv_shapes.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

std::string tuple_text(const std::vector<std::int64_t>& numbers) { return to_string(Shape(numbers)); }

// The extents of x's last axes, which are spatial, as inputs for a gradient.
void add_extents(std::vector<Variable>& inputs, const Variable& x, int axes) {
  for (int axis = x.rank() - axes; axis < x.rank(); ++axis) {
    const std::int64_t known = x.type().shape[static_cast<std::size_t>(axis)];
    inputs.push_back(known == unknown ? x.shape(axis) : constant(Tensor(known)));
  }
}

// By the number of spatial axes.
const Op& of_rank(int rank, const Op& (*two)(), const Op& (*three)()) { return rank == 2 ? two() : three(); }

Variable forward(const Variable& x, const Variable& w, const Attributes& attributes) {
  return apply_op(of_rank(x.rank() - 2, conv2d_op, conv3d_op), {x, w}, attributes);
}

Variable backward_inputs(const Variable& w, const Variable& gy, const Variable& like,
                         const Attributes& attributes) {
  std::vector<Variable> inputs = {w, gy};
  add_extents(inputs, like, gy.rank() - 2);
  return apply_op(of_rank(gy.rank() - 2, conv2d_grad_inputs_op, conv3d_grad_inputs_op), std::move(inputs),
                  attributes);
}

Variable backward_weights(const Variable& x, const Variable& gy, const Variable& like,
                          const Attributes& attributes) {
  std::vector<Variable> inputs = {x, gy};
  add_extents(inputs, like, gy.rank() - 2);
  return apply_op(of_rank(x.rank() - 2, conv2d_grad_weights_op, conv3d_grad_weights_op), std::move(inputs),
                  attributes);
}

// The three abstract convolutions are bilinear, and each one's gradients are the two others.
class AbstractConv final : public Op {
 public:
  AbstractConv(std::string_view name, std::string_view label, ConvDirection direction, int rank)
      : Op(name), label_(label), direction_(direction), rank_(rank) {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const std::size_t count = direction_ == ConvDirection::forward ? 2 : 2 + static_cast<std::size_t>(rank_);
    if (inputs.size() != count) {
      throw TypeError(fmt::format("{} takes {} inputs, got {}", name(), count, inputs.size()));
    }
    const DType dtype = inputs[0].dtype();
    const std::optional<std::size_t> filters = filter_input();
    for (std::size_t i = 0; i < 2; ++i) {
      const Variable& input = inputs[i];
      const bool has_positions = filters == i && is_unshared(attributes);
      if (const int rank = rank_ + 2 + (has_positions ? rank_ : 0); input.rank() != rank) {
        throw TypeError(fmt::format("{} takes tensors of rank {}, got {}{}", name(), rank,
                                    to_string(input.type()),
                                    has_positions ? " (unshared filters have the output's axes too)" : ""));
      }
      if (!is_floating(input.dtype()) || input.dtype() != dtype) {
        throw TypeError(fmt::format("{} takes floating tensors of one dtype, got {} and {}", name(),
                                    name_of(dtype), name_of(inputs[1].dtype())));
      }
    }
    Shape extents;
    for (const Variable& extent : inputs.subspan(2)) {
      if (extent.rank() != 0 || extent.dtype() != DType::int64) {
        throw TypeError(
            fmt::format("{}: an extent must be an int64 scalar, got {}", name(), to_string(extent.type())));
      }
      const auto known = static_integer(extent);
      if (known && *known < 0) throw ShapeError(fmt::format("{}: an extent is {}", name(), *known));
      extents.push_back(known.value_or(unknown));
    }
    const ConvProblem p =
        resolve_conv(direction_, attributes, inputs[0].type().shape, inputs[1].type().shape, extents, dtype);
    return {{dtype, result_shape(p)}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    Shape extents;
    for (const Tensor& extent : inputs.subspan(2)) extents.push_back(extent.item<std::int64_t>());
    const ConvProblem p = conv_problem(direction_, node.attributes(), inputs[0].shape(), inputs[1].shape(),
                                       extents, node.type().dtype);
    return {conv_reference(p, inputs[0], inputs[1])};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable &a = node.input(0), &b = node.input(1), &g = gradients[0];
    const Attributes attributes = gradient_attributes(node.attributes());
    std::vector<InputGradient> result(node.input_count(), InputGradient::disconnected());
    switch (direction_) {
      case ConvDirection::forward:
        result[0] = backward_inputs(b, g, a, attributes);
        result[1] = backward_weights(a, g, b, attributes);
        break;
      case ConvDirection::backward_inputs:
        result[0] = backward_weights(g, b, a, attributes);
        result[1] = forward(g, a, attributes);
        break;
      case ConvDirection::backward_weights:
        result[0] = backward_inputs(g, b, a, attributes);
        result[1] = forward(a, g, attributes);
        break;
    }
    return result;
  }

  bool connected(const Node&, std::size_t input, std::size_t) const override { return input < 2; }
  std::vector<std::size_t> shape_inputs(const Node& node) const override {
    std::vector<std::size_t> result;
    for (std::size_t i = 2; i < node.input_count(); ++i) result.push_back(i);
    return result;
  }

  std::string label(const Node& node) const override {
    const Attributes& a = node.attributes();
    const AttributeValue& mode = *a.find("border_mode");
    std::string text = label_ + "{border_mode=";
    if (const auto* name = std::get_if<std::string>(&mode)) {
      text += "'" + *name + "'";
    } else {
      const auto& pads = std::get<std::vector<std::int64_t>>(mode);
      text += "(";
      for (std::size_t i = 0; i + 1 < pads.size(); i += 2) {
        if (i > 0) text += ", ";
        text += pads[i] == pads[i + 1] ? fmt::format("{}", pads[i])
                                       : fmt::format("({}, {})", pads[i], pads[i + 1]);
      }
      text += ")";
    }
    text += ", subsample=" + tuple_text(a.get<std::vector<std::int64_t>>("subsample"));
    text += fmt::format(", filter_flip={}", a.get<bool>("filter_flip") ? "True" : "False");
    const auto& dilation = a.get<std::vector<std::int64_t>>("dilation");
    if (dilation != std::vector<std::int64_t>(dilation.size(), 1)) {
      text += ", filter_dilation=" + tuple_text(dilation);
    }
    if (a.get<std::int64_t>("num_groups") != 1) {
      text += fmt::format(", num_groups={}", a.get<std::int64_t>("num_groups"));
    }
    for (const char* option : {"unshared", "version", "compute_precision", "workspace", "unroll_batch",
                               "unroll_kern", "unroll_patch", "openmp"}) {
      if (const AttributeValue* value = a.find(option))
        text += fmt::format(", {}={}", option, to_string(*value));
    }
    return text + "}";
  }

 private:
  static bool is_unshared(const Attributes& attributes) { return attributes.get_or<bool>("unshared", false); }
  /// Which input are the filters.
  std::optional<std::size_t> filter_input() const {
    switch (direction_) {
      case ConvDirection::forward:
        return 1;
      case ConvDirection::backward_inputs:
        return 0;
      default:
        return std::nullopt;
    }
  }

  Shape result_shape(const ConvProblem& p) const {
    switch (direction_) {
      case ConvDirection::forward:
        return p.out_shape();
      case ConvDirection::backward_inputs:
        return p.image_shape();
      case ConvDirection::backward_weights:
        break;
    }
    Shape shape = p.filter_shape();
    if (p.channels == unknown) shape[static_cast<std::size_t>(p.channel_axis_of_filters())] = unknown;
    return shape;
  }

  std::string label_;
  ConvDirection direction_;
  int rank_;
};

}  // namespace

const Op& conv2d_op() {
  static const AbstractConv op("conv2d", "AbstractConv2d", ConvDirection::forward, 2);
  return op;
}
const Op& conv2d_grad_inputs_op() {
  static const AbstractConv op("conv2d_grad_inputs", "AbstractConv2d_gradInputs",
                               ConvDirection::backward_inputs, 2);
  return op;
}
const Op& conv2d_grad_weights_op() {
  static const AbstractConv op("conv2d_grad_weights", "AbstractConv2d_gradWeights",
                               ConvDirection::backward_weights, 2);
  return op;
}
const Op& conv3d_op() {
  static const AbstractConv op("conv3d", "AbstractConv3d", ConvDirection::forward, 3);
  return op;
}
const Op& conv3d_grad_inputs_op() {
  static const AbstractConv op("conv3d_grad_inputs", "AbstractConv3d_gradInputs",
                               ConvDirection::backward_inputs, 3);
  return op;
}
const Op& conv3d_grad_weights_op() {
  static const AbstractConv op("conv3d_grad_weights", "AbstractConv3d_gradWeights",
                               ConvDirection::backward_weights, 3);
  return op;
}
[[maybe_unused]] const Op* const conv_ops_registered_at_start[] = {
    &conv2d_op(), &conv2d_grad_inputs_op(), &conv2d_grad_weights_op(),
    &conv3d_op(), &conv3d_grad_inputs_op(), &conv3d_grad_weights_op()};

}  // namespace croton
