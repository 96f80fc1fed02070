#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

std::size_t axis_of(const Node& node) {
  return static_cast<std::size_t>(node.attributes().get<std::int64_t>("axis"));
}

// x's part [start, stop) of one axis.
Variable part_of(const Variable& x, int axis, const Operand& start, const Operand& stop) {
  std::vector<Subscript> index(static_cast<std::size_t>(axis), Subscript(all));
  index.emplace_back(slice(start, stop));
  return x.index(index);
}

class Join final : public Op {
 public:
  Join() : Op("join") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.empty()) throw TypeError("join takes at least one tensor, got none");
    const auto axis = attributes.get<std::int64_t>("axis");
    TensorType result = inputs[0].type();
    if (axis < 0 || axis >= result.rank()) {
      throw IndexError(fmt::format("join: axis {} is outside tensors of rank {}", axis, result.rank()));
    }
    for (std::size_t k = 1; k < inputs.size(); ++k) {
      const TensorType& other = inputs[k].type();
      if (other.dtype != result.dtype || other.rank() != result.rank()) {
        throw TypeError(
            fmt::format("join takes tensors of one dtype and rank; operand 0 is {}, operand {} is {}",
                        to_string(inputs[0].type()), k, to_string(other)));
      }
      for (std::size_t i = 0; i < result.shape.size(); ++i) {
        std::int64_t& extent = result.shape[i];
        const std::int64_t more = other.shape[i];
        if (static_cast<std::int64_t>(i) == axis) {
          extent = extent == unknown || more == unknown ? unknown : extent + more;
        } else if (extent == unknown) {
          extent = more;
        } else if (more != unknown && more != extent) {
          throw ShapeError(
              fmt::format("join along axis {}: the operands before have extent {} on axis {}, "
                          "operand {} has {} (shape {})",
                          axis, extent, i, k, more, to_string(other.shape)));
        }
      }
    }
    return {result};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const std::size_t axis = axis_of(node);
    Shape shape = inputs[0].shape();
    shape[axis] = 0;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      Shape expected = inputs[k].shape();
      shape[axis] += expected[axis];
      expected[axis] = shape[axis];
      if (expected == shape) continue;
      throw ShapeError(fmt::format("join along axis {}: operand 0 has shape {}, operand {} has {}", axis,
                                   to_string(inputs[0].shape()), k, to_string(inputs[k].shape())));
    }
    Tensor result = Tensor::empty(shape, node.type().dtype);
    std::int64_t at = 0;
    for (const Tensor& input : inputs) {
      const std::int64_t end = at + input.shape()[axis];
      result.slice(static_cast<int>(axis), at, end).assign(input);
      at = end;
    }
    return {result};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const int axis = static_cast<int>(axis_of(node));
    std::vector<InputGradient> result;
    std::int64_t known = 0;
    Variable start;  // the sum of the extents that are not known statically
    const auto position = [&] {
      return !start ? constant(Tensor(known)) : known == 0 ? start : add(start, known);
    };
    for (const Variable& input : node.inputs()) {
      const Variable from = position();
      const std::int64_t extent = input.type().shape[static_cast<std::size_t>(axis)];
      if (extent != unknown) {
        known += extent;
      } else {
        start = start ? add(start, input.shape(axis)) : input.shape(axis);
      }
      result.emplace_back(part_of(gradients[0], axis, from, position()));
    }
    return result;
  }
  std::string label(const Node& node) const override { return fmt::format("Join{{axis={}}}", axis_of(node)); }
};

}  // namespace

const Op& join_op() {
  static const Join op;
  return op;
}
[[maybe_unused]] const Op& join_registered_at_start = join_op();

Variable join(int axis, const std::vector<Operand>& tensors, std::source_location where) {
  const LocationScope scope(where);
  if (tensors.empty()) throw TypeError("join takes at least one tensor, got none");
  const DType dtype = promoted_dtype(tensors);
  std::vector<Variable> inputs;
  for (const Operand& tensor : tensors) inputs.push_back(as_dtype(tensor, dtype));
  const std::int64_t along = normalize_axis(axis, inputs[0], "join");
  return apply_op(join_op(), std::move(inputs), {{"axis", along}});
}

Variable concatenate(const std::vector<Operand>& tensors, int axis, std::source_location where) {
  return join(axis, tensors, where);
}

Variable stack(const std::vector<Operand>& tensors, int axis, std::source_location where) {
  const LocationScope scope(where);
  if (tensors.empty()) throw TypeError("stack takes at least one tensor, got none");
  const int rank = tensors[0].variable().rank();
  const int along = normalize_axis(axis, tensors[0].variable(), "stack", 1);
  const DType dtype = promoted_dtype(tensors);
  std::vector<Operand> expanded;
  for (const Operand& tensor : tensors) {
    if (tensor.variable().rank() != rank) {
      throw TypeError(fmt::format("stack takes tensors of one rank, got {} and {}",
                                  describe(tensors[0].variable()), describe(tensor.variable())));
    }
    expanded.emplace_back(expand_dims(as_dtype(tensor, dtype), along));
  }
  return join(along, expanded);
}

std::vector<Variable> split(const Operand& x, const std::vector<std::int64_t>& sizes, int axis) {
  const LocationScope scope(x.where());
  const Variable& v = x.variable();
  const int along = normalize_axis(axis, v, "split");
  std::int64_t total = 0;
  for (const std::int64_t size : sizes) {
    if (size < 0) throw ValueError(fmt::format("split: a piece of extent {} of {}", size, describe(v)));
    total += size;
  }
  // Declares the extent, so that one that is found out later is checked too.
  Shape expected = Shape::filled(v.type().shape.size(), unknown);
  expected[static_cast<std::size_t>(along)] = total;
  const bool known = v.type().shape[static_cast<std::size_t>(along)] == total;
  const Variable whole = known ? v : specify_shape(v, expected);
  std::vector<Variable> pieces;
  std::int64_t at = 0;
  for (const std::int64_t size : sizes) {
    pieces.push_back(part_of(whole, along, at, at + size));
    at += size;
  }
  return pieces;
}

}  // namespace croton
