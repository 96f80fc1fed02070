#include "croton/ops/composite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/composite_body.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/inplace_label.h"
#include "croton/ops/reduce.h"
#include "croton/ops/reduce_axes.h"

namespace croton {

namespace {

using Body = std::shared_ptr<const Subgraph>;

class CompositeOp final : public Op {
 public:
  CompositeOp() : Op("Composite") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const Subgraph& body = *body_of(attributes, "body");
    check_body(body, inputs, "body");
    if (inputs.empty()) throw TypeError("Composite takes at least one operand");
    const Shape shape = broadcast_types(inputs);
    std::vector<TensorType> types;
    for (const Variable& output : body.outputs()) types.push_back({output.dtype(), shape});
    return types;
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    std::vector<Shape> shapes;
    for (const Tensor& input : inputs) shapes.push_back(input.shape());
    return evaluate_body(*body_of(node.attributes(), "body"), inputs, broadcast_shape(node, shapes));
  }

  std::vector<std::pair<int, int>> inplace_candidates(const Node& node) const override {
    return elementwise_inplace_candidates(node);
  }
  std::string label(const Node& node) const override {
    return fmt::format("Elemwise{{Composite{{{}}}}}{}", composite_text(*body_of(node.attributes(), "body")),
                       inplace_suffix(*this, node));
  }
};

class CompositeReduceOp final : public Op {
 public:
  CompositeReduceOp() : Op("CompositeReduce") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    const Subgraph& body = *body_of(attributes, "body");
    const std::size_t full = body.inputs().size();
    if (full == 0 || inputs.size() < full) {
      throw TypeError(fmt::format("CompositeReduce has {} operands for a body of {}", inputs.size(), full));
    }
    const ReduceOp& op = reduction(attributes);
    check_body(body, inputs.first(full), "body");
    const auto axes = reduced_axes(name(), inputs.first(1), attributes);
    const Shape all = broadcast_types(inputs.first(full));
    if (!op.row().has_identity) require_elements(op.name(), all, axes);
    Shape shape = without_axes(all, axes);
    std::vector<DType> reduced;
    for (const Variable& value : body.outputs()) reduced.push_back(op.row().result(value.dtype()));
    const std::span<const Variable> extra = inputs.subspan(full);
    std::vector<TensorType> types;
    if (!attributes.contains("epilogue")) {
      if (!extra.empty()) throw TypeError("CompositeReduce without an epilogue takes no extra operands");
      for (const DType dtype : reduced) types.push_back({dtype, shape});
      return types;
    }
    const Subgraph& epilogue = *body_of(attributes, "epilogue");
    check_epilogue(epilogue, reduced, extra, shape);
    for (const Variable& output : epilogue.outputs()) types.push_back({output.dtype(), shape});
    return types;
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const Attributes& attributes = node.attributes();
    const Subgraph& body = *body_of(attributes, "body");
    const std::size_t full = body.inputs().size();
    std::vector<Shape> shapes;
    for (const Tensor& input : inputs.first(full)) shapes.push_back(input.shape());
    const auto& axes = attributes.get<std::vector<std::int64_t>>("axes");
    std::vector<Tensor> values;
    for (const Tensor& element : evaluate_body(body, inputs.first(full), broadcast_shape(node, shapes))) {
      values.push_back(reduction(attributes).reduce(element, axes));
    }
    if (!attributes.contains("epilogue")) return values;
    const Shape shape = values[0].shape();
    for (std::size_t i = full; i < inputs.size(); ++i) {
      check_extra(node.input(i), inputs[i].shape(), shape, i);
      values.push_back(inputs[i]);
    }
    return evaluate_body(*body_of(attributes, "epilogue"), values, shape);
  }

  std::string label(const Node& node) const override {
    const CompositeReduce parts = composite_reduce_parts(node);
    std::string text = fmt::format("CompositeReduce{{{}, {}", parts.op, composite_text(*parts.body));
    if (parts.epilogue) text += ", " + composite_text(*parts.epilogue);
    if (parts.axes.size() != static_cast<std::size_t>(node.input(0).rank())) {
      text += fmt::format(", axis=[{}]", fmt::join(parts.axes, ", "));
    }
    return text + "}";
  }

 private:
  static const ReduceOp& reduction(const Attributes& attributes) {
    const AttributeValue* value = attributes.find("op");
    const auto* name = value == nullptr ? nullptr : std::get_if<std::string>(value);
    const ReduceOp* op = name == nullptr ? nullptr : find_reduce(*name);
    if (op == nullptr) throw TypeError("CompositeReduce needs the attribute op: sum, prod, max or min");
    return *op;
  }

  static void check_epilogue(const Subgraph& epilogue, const std::vector<DType>& reduced,
                             std::span<const Variable> extra, Shape& shape) {
    std::vector<TensorType> types;
    for (const DType dtype : reduced) types.push_back({dtype, shape});
    for (std::size_t i = 0; i < extra.size(); ++i) {
      if (extra[i].rank() != shape.rank()) {
        throw TypeError(fmt::format("an extra operand of CompositeReduce has rank {}, the reduced values {}",
                                    extra[i].rank(), shape.rank()));
      }
      types.push_back(extra[i].type());
      // An unknown extent may be learnt from an extra operand; the reduced values themselves never grow.
      for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        const std::int64_t extent = extra[i].type().shape[axis];
        if (extent == 1 || extent == unknown || extent == shape[axis]) continue;
        if (shape[axis] != unknown) {
          throw ShapeError(
              fmt::format("an extra operand of CompositeReduce has the extent {} at axis {}, the "
                          "reduced values have {}",
                          extent, axis, shape[axis]));
        }
        shape[axis] = extent;
      }
    }
    check_body_types(epilogue, types, "epilogue");
  }

  static void check_extra(const Variable& input, const Shape& extents, const Shape& shape, std::size_t i) {
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (extents[axis] == shape[axis] || input.type().broadcastable(static_cast<int>(axis))) continue;
      throw ShapeError(
          fmt::format("Input dimension mis-match. (input[{}].shape[{}] = {}, the reduced shape has {})", i,
                      axis, extents[axis], shape[axis]));
    }
  }
};

[[maybe_unused]] const Op& composite_registered_at_start = composite_op();
[[maybe_unused]] const Op& composite_reduce_registered_at_start = composite_reduce_op();

}  // namespace

const Op& composite_op() {
  static const Op* const op = new CompositeOp;
  return *op;
}
const Op& composite_reduce_op() {
  static const Op* const op = new CompositeReduceOp;
  return *op;
}

Ref<Node> make_composite(Body body, std::vector<Variable> inputs, SourceLocation where) {
  return make_node(composite_op(), std::move(inputs), Attributes{{"body", std::move(body)}}, where);
}

Ref<Node> make_composite_reduce(const CompositeReduce& parts, std::vector<Variable> inputs,
                                SourceLocation where) {
  Attributes attributes{{"axes", parts.axes}, {"body", parts.body}, {"op", parts.op}};
  if (parts.epilogue) attributes = attributes.with("epilogue", parts.epilogue);
  return make_node(composite_reduce_op(), std::move(inputs), std::move(attributes), where);
}

CompositeReduce composite_reduce_parts(const Node& node) {
  const Attributes& attributes = node.attributes();
  return {attributes.get<Body>("body"), attributes.get<std::string>("op"),
          attributes.get<std::vector<std::int64_t>>("axes"), attributes.get_or<Body>("epilogue", nullptr)};
}

}  // namespace croton
