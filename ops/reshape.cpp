#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

std::string extents_text(std::span<const std::optional<std::int64_t>> extents) {
  Shape shape;  // an open -1 and an unknown entry both print as "?"
  for (const auto& extent : extents) shape.push_back(extent.value_or(unknown));
  return to_string(shape);
}

// The static result: entries that are not known may turn out to be -1.
Shape infer_reshape(const Shape& from, std::span<const std::optional<std::int64_t>> extents) {
  Shape result;
  std::int64_t known = 1;
  int open = 0, computed = 0;
  std::size_t open_axis = 0;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] && *extents[i] < -1) {
      throw ShapeError(
          fmt::format("reshape: extent {} of the new shape is {}; it must be at least 0, or -1 "
                      "for what is left",
                      i, *extents[i]));
    }
    if (extents[i] && *extents[i] >= 0) {
      known *= *extents[i];
    } else {
      computed += extents[i].has_value();
      ++open;
      open_axis = i;
    }
    result.push_back(extents[i] && *extents[i] >= 0 ? *extents[i] : unknown);
  }
  if (computed > 1) throw ShapeError("reshape: only one extent of the new shape may be -1");
  if (!from.is_known()) return result;
  const std::int64_t count = from.count();
  const bool fits = open == 0 ? known == count : known == 0 ? count == 0 : count % known == 0;
  if (!fits || (computed == 1 && open == 1 && known == 0)) {
    throw ShapeError(
        fmt::format("cannot reshape {} ({} elements) to {}", to_string(from), count, extents_text(extents)));
  }
  if (open == 1 && known > 0) result[open_axis] = count / known;
  return result;
}

class Reshape final : public Op {
 public:
  Reshape() : Op("reshape") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 2) throw TypeError(fmt::format("reshape takes 2 inputs, got {}", inputs.size()));
    const TensorType& shape = inputs[1].type();
    const auto ndim = attributes.get<std::int64_t>("ndim");
    if (shape.dtype != DType::int64 || shape.rank() != 1) {
      throw TypeError(fmt::format("reshape: the shape must be an int64 vector, got {}", to_string(shape)));
    }
    if (ndim < 0 || ndim > max_rank) throw_too_many_axes(static_cast<std::size_t>(ndim));
    if (shape.shape[0] != unknown && shape.shape[0] != ndim) {
      throw ShapeError(
          fmt::format("reshape to rank {} was given a shape of {} entries", ndim, shape.shape[0]));
    }
    const auto known = static_integers(inputs[1]);
    if (known && static_cast<std::int64_t>(known->size()) != ndim) {
      throw ShapeError(
          fmt::format("reshape to rank {} was given a shape of {} entries", ndim, known->size()));
    }
    const std::vector<std::optional<std::int64_t>> extents =
        known ? *known : std::vector<std::optional<std::int64_t>>(static_cast<std::size_t>(ndim));
    return {{inputs[0].dtype(), infer_reshape(inputs[0].type().shape, extents)}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const auto ndim = node.attributes().get<std::int64_t>("ndim");
    const std::vector<std::int64_t> extents = inputs[1].to_vector<std::int64_t>();
    if (static_cast<std::int64_t>(extents.size()) != ndim) {
      throw ShapeError(
          fmt::format("reshape to rank {} was given a shape of {} entries", ndim, extents.size()));
    }
    return {inputs[0].copy().reshape(resolve_reshape(inputs[0].shape(), extents))};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable& x = node.input(0);
    return {x.type().shape.is_known() ? gradients[0].reshape(x.type().shape)
                                      : reshape(gradients[0], SymbolicShape(x.shape())),
            InputGradient::disconnected()};
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 0; }
  std::vector<std::size_t> shape_inputs(const Node&) const override { return {1}; }
  std::vector<std::pair<int, int>> view_map(const Node&) const override { return {{0, 0}}; }
  std::string label(const Node& node) const override {
    return fmt::format("Reshape{{{}}}", node.attributes().get<std::int64_t>("ndim"));
  }
};

}  // namespace

const Op& reshape_op() {
  static const Reshape op;
  return op;
}
[[maybe_unused]] const Op& reshape_registered_at_start = reshape_op();

Shape resolve_reshape(const Shape& from, std::span<const std::int64_t> extents) {
  return infer_reshape(from, std::vector<std::optional<std::int64_t>>(extents.begin(), extents.end()));
}

Variable reshape(const Operand& x, const SymbolicShape& shape) {
  const LocationScope scope(x.where());
  return apply_op(reshape_op(), {x.variable(), shape.vector()}, {{"ndim", std::int64_t{shape.rank()}}});
}

Variable Variable::reshape(std::initializer_list<std::int64_t> shape, std::source_location where) const {
  return reshape(Shape(shape), where);
}

Variable Variable::reshape(const Shape& shape, std::source_location where) const {
  const LocationScope scope(where);
  return apply_op(reshape_op(), {*this, SymbolicShape(shape).vector()},
                  {{"ndim", std::int64_t{shape.rank()}}});
}

Variable Variable::flatten(int ndim, std::source_location where) const {
  const LocationScope scope(where);
  if (ndim < 1 || (ndim > rank() && ndim > 1)) {
    throw ValueError(fmt::format("flatten to {} axes of {}", ndim, describe(*this)));
  }
  if (ndim == rank()) return *this;
  // Not -1 for the last extent: that would be ambiguous where an earlier one is 0.
  std::vector<Operand> extents;
  const auto extent = [&](int axis) {
    const std::int64_t known = type().shape[static_cast<std::size_t>(axis)];
    return known == unknown ? shape(axis) : constant(Tensor(known));
  };
  for (int i = 0; i + 1 < ndim; ++i) extents.emplace_back(extent(i));
  std::int64_t known = 1;
  Variable last;
  for (int i = ndim - 1; i < rank(); ++i) {
    const std::int64_t n = type().shape[static_cast<std::size_t>(i)];
    if (n != unknown) {
      known *= n;
    } else {
      last = last ? mul(last, shape(i)) : shape(i);
    }
  }
  if (!last) {
    last = constant(Tensor(known));
  } else if (known != 1) {
    last = mul(last, known);
  }
  extents.emplace_back(last);
  return croton::reshape(*this, extents);
}

Variable flatten(const Operand& x, int ndim) {
  const LocationScope scope(x.where());
  return x.variable().flatten(ndim);
}

}  // namespace croton
