#include "croton/ops/indexing.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"
#include "croton/ops/view_layout.h"

namespace croton {

namespace {

const std::vector<std::int64_t>& code_of(const Attributes& attributes) {
  return attributes.get<std::vector<std::int64_t>>("index");
}

std::vector<std::int64_t> integer_values(std::span<const Tensor> inputs) {
  std::vector<std::int64_t> values;
  for (const Tensor& input : inputs) values.push_back(input.item<std::int64_t>());
  return values;
}

// The static type of the indexed part of x; `integers` are the node's integer inputs.
TensorType part_type(const TensorType& x, std::span<const Variable> integers, const Attributes& attributes) {
  const IndexPattern pattern = decode_index(code_of(attributes));
  if (pattern.size() > x.shape.size()) {
    throw IndexError(fmt::format("{} indices were given for a tensor of rank {}", pattern.size(), x.rank()));
  }
  std::vector<std::int64_t> values;
  std::vector<bool> is_known;
  for (const Variable& integer : integers) {
    if (integer.rank() != 0 || integer.dtype() != DType::int64) {
      throw TypeError(fmt::format("an index must be an int64 scalar, got {}", to_string(integer.type())));
    }
    const auto value = static_integer(integer);
    is_known.push_back(value.has_value());
    values.push_back(value.value_or(1));
  }
  TensorType part{x.dtype, {}};
  for (std::size_t axis = 0; axis < x.shape.size(); ++axis) {
    if (axis >= pattern.size()) {
      part.shape.push_back(x.shape[axis]);
      continue;
    }
    const IndexEntry& entry = pattern[axis];
    bool known = x.shape[axis] != unknown;
    for (const IndexField& field : {entry.start, entry.stop, entry.step}) {
      if (field.kind != IndexField::Kind::input) continue;
      if (field.value < 0 || static_cast<std::size_t>(field.value) >= integers.size()) {
        throw ValueError(
            fmt::format("the index names input {}, but there are {}", field.value, integers.size()));
      }
      known = known && is_known[static_cast<std::size_t>(field.value)];
    }
    if (!known) {
      if (!entry.is_integer) part.shape.push_back(unknown);
      continue;
    }
    // Entry by entry, so that what is known of one axis does not wait for the others.
    Shape before = Shape::filled(axis, 0);
    IndexPattern alone(axis);
    alone.push_back(entry);
    before.push_back(x.shape[axis]);
    const AxisSelection selection = select_index(alone, before, values).back();
    if (!selection.dropped) part.shape.push_back(selection.extent);
  }
  return part;
}

std::string index_label(const Node& node) { return to_string(decode_index(code_of(node.attributes()))); }

class SubtensorOp final : public Op {
 public:
  SubtensorOp() : Op("subtensor") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.empty()) throw TypeError("subtensor takes a tensor and its integers, got no input");
    return {part_type(inputs[0].type(), inputs.subspan(1), attributes)};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    return {apply_view(inputs[0], *view_layout(node, inputs[0].shape(), inputs[0].strides(), inputs)).copy()};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    std::vector<InputGradient> result(node.input_count(), InputGradient::disconnected());
    std::vector<Variable> inputs(node.inputs().begin(), node.inputs().end());
    inputs[0] = zeros_like(node.input(0));
    inputs.insert(inputs.begin() + 1, gradients[0]);
    result[0] = apply_op(inc_subtensor_op(), std::move(inputs),
                         {{"index", code_of(node.attributes())}, {"set", false}});
    return result;
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 0; }
  std::vector<std::size_t> shape_inputs(const Node& node) const override {
    std::vector<std::size_t> result;
    for (std::size_t i = 1; i < node.input_count(); ++i) result.push_back(i);
    return result;
  }
  std::vector<std::pair<int, int>> view_map(const Node&) const override { return {{0, 0}}; }
  std::string label(const Node& node) const override { return "Subtensor{" + index_label(node) + "}"; }
};

class IncSubtensor final : public Op {
 public:
  IncSubtensor() : Op("inc_subtensor") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() < 2) {
      throw TypeError(
          fmt::format("inc_subtensor takes a tensor, the values for its part and the integers of "
                      "the index, got {} inputs",
                      inputs.size()));
    }
    const TensorType& x = inputs[0].type();
    const TensorType& y = inputs[1].type();
    const TensorType part = part_type(x, inputs.subspan(2), attributes);
    if (y.dtype != x.dtype) {
      throw TypeError(
          fmt::format("a part of a {} tensor cannot take {} values", name_of(x.dtype), name_of(y.dtype)));
    }
    if (is_bool(x.dtype) && !attributes.get<bool>("set")) {
      throw TypeError("inc_subtensor does not add to bool; set_subtensor can set it");
    }
    if (y.rank() != part.rank()) {
      throw TypeError(
          fmt::format("the part has type {}, the values for it {}", to_string(part), to_string(y)));
    }
    for (std::size_t i = 0; i < y.shape.size(); ++i) {
      if (y.shape[i] == 1 || y.shape[i] == part.shape[i]) continue;
      if (y.shape[i] == unknown || part.shape[i] == unknown) continue;
      throw ShapeError(fmt::format("the part that the index {} takes has shape {}, the values for it {}",
                                   to_string(decode_index(code_of(attributes))), to_string(part.shape),
                                   to_string(y.shape)));
    }
    return {x};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    Tensor result = inputs[0].copy();
    ViewLayout view;
    const auto selection = select_index(decode_index(code_of(node.attributes())), result.shape(),
                                        integer_values(inputs.subspan(2)));
    for (std::size_t i = 0; i < selection.size(); ++i) {
      if (selection[i].extent > 0) view.offset += selection[i].start * result.strides()[i];
      if (selection[i].dropped) continue;
      view.shape.push_back(selection[i].extent);
      view.strides.push_back(selection[i].step * result.strides()[i]);
    }
    const Shape& y_shape = inputs[1].shape();
    const TensorType& y_type = node.input(1).type();
    for (std::size_t i = 0; i < y_shape.size(); ++i) {
      if (y_shape[i] == view.shape[i] || y_type.shape[i] == 1) continue;
      throw ShapeError(fmt::format("the indexed part has shape {}, the values for it {}",
                                   to_string(view.shape), to_string(y_shape)));
    }
    if (view.shape.count() == 0) return {result};
    const Tensor part = apply_view(result, view);
    const Tensor y = inputs[1].broadcast_to(view.shape);
    if (node.attributes().get<bool>("set")) {
      part.assign(y);
    } else {
      visit_dtype(part.dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        const auto from = y.elements<const T>();
        const auto to = part.elements<T>();
        for_each_index(view.shape, [&](const Shape& at) { to[at] = static_cast<T>(to[at] + from[at]); });
      });
    }
    return {result};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    std::vector<InputGradient> result(node.input_count(), InputGradient::disconnected());
    const Variable& g = gradients[0];
    const std::vector<Variable> integers(node.inputs().begin() + 2, node.inputs().end());
    const AttributeValue index = code_of(node.attributes());

    std::vector<Variable> part = {g};
    part.insert(part.end(), integers.begin(), integers.end());
    result[1] = sum_to(apply_op(subtensor_op(), std::move(part), {{"index", index}}), node.input(1));
    if (!node.attributes().get<bool>("set")) {
      result[0] = g;
    } else {
      const Shape ones = Shape::filled(node.input(1).type().shape.size(), 1);
      std::vector<Variable> cleared = {g, constant(Tensor::zeros(ones, g.dtype()))};
      cleared.insert(cleared.end(), integers.begin(), integers.end());
      result[0] = apply_op(inc_subtensor_op(), std::move(cleared), {{"index", index}, {"set", true}});
    }
    return result;
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input < 2; }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{0, 0}}; }
  std::string label(const Node& node) const override {
    return fmt::format("IncSubtensor{{{}{};{}}}", node.attributes().contains("inplace") ? "Inplace" : "",
                       node.attributes().get<bool>("set") ? "Set" : "Inc", index_label(node));
  }
};

}  // namespace

const Op& subtensor_op() {
  static const SubtensorOp op;
  return op;
}
const Op& inc_subtensor_op() {
  static const IncSubtensor op;
  return op;
}
[[maybe_unused]] const Op* const indexing_registered_at_start[] = {&subtensor_op(), &inc_subtensor_op()};

}  // namespace croton
