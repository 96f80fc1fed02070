#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/view_layout.h"

namespace croton {

namespace {

std::vector<InputGradient> all_disconnected(const Node& node) {
  return std::vector<InputGradient>(node.input_count(), InputGradient::disconnected());
}

class ShapeOp final : public Op {
 public:
  ShapeOp() : Op("shape") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.size() != 1) throw TypeError(fmt::format("shape takes 1 input, got {}", inputs.size()));
    return {{DType::int64, {inputs[0].rank()}}};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    const Shape& shape = inputs[0].shape();
    return {Tensor(std::vector<std::int64_t>(shape.begin(), shape.end()))};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable>) const override {
    return all_disconnected(node);
  }
  bool connected(const Node&, std::size_t, std::size_t) const override { return false; }
  Device output_device(const Attributes&, Device) const override { return {}; }
  std::string label(const Node&) const override { return "Shape"; }
};

class ShapeI final : public Op {
 public:
  ShapeI() : Op("shape_i") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 1) throw TypeError(fmt::format("shape_i takes 1 input, got {}", inputs.size()));
    const auto axis = attributes.get<std::int64_t>("axis");
    if (axis < 0 || axis >= inputs[0].rank()) {
      throw IndexError(
          fmt::format("shape_i: axis {} is outside a tensor of rank {}", axis, inputs[0].rank()));
    }
    return {{DType::int64, {}}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    return {Tensor(inputs[0].shape()[static_cast<std::size_t>(node.attributes().get<std::int64_t>("axis"))])};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable>) const override {
    return all_disconnected(node);
  }
  bool connected(const Node&, std::size_t, std::size_t) const override { return false; }
  Device output_device(const Attributes&, Device) const override { return {}; }
  std::string label(const Node& node) const override {
    return fmt::format("Shape_i{{{}}}", node.attributes().get<std::int64_t>("axis"));
  }
};

class MakeVector final : public Op {
 public:
  MakeVector() : Op("make_vector") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const auto dtype = attributes.get<DType>("dtype");
    for (const Variable& input : inputs) {
      if (input.rank() != 0) {
        throw TypeError(fmt::format("make_vector takes scalars, got {}", to_string(input.type())));
      }
      if (input.dtype() != dtype) {
        throw TypeError(
            fmt::format("make_vector of {} got a scalar of {}", name_of(dtype), name_of(input.dtype())));
      }
    }
    return {{dtype, {static_cast<std::int64_t>(inputs.size())}}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    Tensor result = Tensor::empty({static_cast<std::int64_t>(inputs.size())}, node.type().dtype);
    for (std::size_t i = 0; i < inputs.size(); ++i) result[static_cast<std::int64_t>(i)].assign(inputs[i]);
    return {result};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    if (!is_floating(node.type().dtype)) return all_disconnected(node);
    std::vector<InputGradient> result;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      result.emplace_back(gradients[0](static_cast<std::int64_t>(i)));
    }
    return result;
  }
  bool connected(const Node& node, std::size_t, std::size_t) const override {
    return is_floating(node.type().dtype);
  }
  std::string label(const Node& node) const override {
    return fmt::format("MakeVector{{dtype='{}'}}", name_of(node.type().dtype));
  }
};

const std::vector<std::int64_t>& declared(const Attributes& attributes) {
  return attributes.get<std::vector<std::int64_t>>("shape");
}

class SpecifyShape final : public Op {
 public:
  SpecifyShape() : Op("specify_shape") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 1) {
      throw TypeError(fmt::format("specify_shape takes 1 input, got {}", inputs.size()));
    }
    TensorType type = inputs[0].type();
    const Shape shape = declared(attributes);
    if (shape.rank() != type.rank()) {
      throw TypeError(fmt::format("the declared shape {} has {} entries, but the operand has rank {}",
                                  to_string(shape), shape.rank(), type.rank()));
    }
    for (const std::int64_t extent : shape) {
      if (extent < unknown) throw ValueError(fmt::format("specify_shape: an extent is {}", extent));
    }
    if (!compatible(type, {type.dtype, shape})) throw_contradiction(shape, type.shape);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (type.shape[i] == unknown) type.shape[i] = shape[i];
    }
    return {type};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    require_specified_shape(node, inputs[0].shape());
    return {inputs[0].copy()};
  }
  std::vector<InputGradient> grad(const Node&, std::span<const Variable> gradients) const override {
    return {gradients[0]};
  }
  std::vector<std::pair<int, int>> view_map(const Node&) const override { return {{0, 0}}; }
  std::string label(const Node& node) const override {
    return "SpecifyShape{" + to_string(Shape(declared(node.attributes()))) + "}";
  }

  [[noreturn]] static void throw_contradiction(const Shape& expected, const Shape& got) {
    throw ShapeError(fmt::format("a shape was declared that the value does not have: expected {}, got {}",
                                 to_string(expected), to_string(got)));
  }
};

}  // namespace

const Op& shape_op() {
  static const ShapeOp op;
  return op;
}
const Op& shape_i_op() {
  static const ShapeI op;
  return op;
}
const Op& make_vector_op() {
  static const MakeVector op;
  return op;
}
const Op& specify_shape_op() {
  static const SpecifyShape op;
  return op;
}
[[maybe_unused]] const Op* const shape_registered_at_start[] = {&shape_op(), &shape_i_op(), &make_vector_op(),
                                                                &specify_shape_op()};

void require_specified_shape(const Node& node, const Shape& shape) {
  const Shape expected = declared(node.attributes());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (expected[i] != unknown && expected[i] != shape[i]) {
      SpecifyShape::throw_contradiction(expected, shape);
    }
  }
}

Variable specify_shape(const Operand& x, const Shape& shape) {
  const LocationScope scope(x.where());
  return apply_op(specify_shape_op(), {x.variable()},
                  {{"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}});
}

Variable make_vector(const std::vector<Operand>& scalars) {
  const LocationScope scope(scalars.empty() ? SourceLocation() : scalars.front().where());
  const DType dtype = scalars.empty() ? DType::int64 : promoted_dtype(scalars);
  std::vector<Variable> inputs;
  for (const Operand& scalar : scalars) inputs.push_back(as_dtype(scalar, dtype));
  return apply_op(make_vector_op(), std::move(inputs), {{"dtype", dtype}});
}

Variable Variable::shape(std::source_location where) const {
  return apply_op(shape_op(), {*this}, {}, where);
}

Variable Variable::shape(int axis, std::source_location where) const {
  const std::int64_t i = normalize_axis(axis, *this, "shape");
  return apply_op(shape_i_op(), {*this}, {{"axis", i}}, where);
}

}  // namespace croton
