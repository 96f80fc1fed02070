#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

// Checks one extent against the axis of the value that it spreads or keeps.
void require_extent(std::int64_t extent, std::int64_t value_extent, bool broadcasts, const Shape& value) {
  if (extent < 0) throw ShapeError(fmt::format("alloc: an extent is {}; it must not be negative", extent));
  if (broadcasts || value_extent == extent) return;
  throw ShapeError(fmt::format(
      "alloc: a value of shape {} does not broadcast to an extent of {}{}", to_string(value), extent,
      value_extent == 1 ? "; declare the axis broadcastable (specify_shape) to repeat it" : ""));
}

class Alloc final : public Op {
 public:
  Alloc() : Op("alloc") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.empty()) throw TypeError("alloc takes a value and extents, got no input");
    const Shape& value = inputs[0].type().shape;
    const std::size_t rank = inputs.size() - 1;
    if (rank > max_rank) throw_too_many_axes(rank);
    if (value.size() > rank) {
      throw TypeError(
          fmt::format("alloc: a value of rank {} does not fit into {} extents", value.size(), rank));
    }
    TensorType result{inputs[0].dtype(), {}};
    for (std::size_t i = 0; i < rank; ++i) {
      const Variable& extent = inputs[i + 1];
      if (extent.rank() != 0 || extent.dtype() != DType::int64) {
        throw TypeError(
            fmt::format("alloc: an extent must be an int64 scalar, got {}", to_string(extent.type())));
      }
      const bool leading = i < rank - value.size();
      const std::int64_t kept = leading ? 1 : value[i - (rank - value.size())];
      const auto known = static_integer(extent);
      if (known) require_extent(*known, kept == unknown ? *known : kept, kept == 1, value);
      result.shape.push_back(known ? *known : kept == 1 ? unknown : kept);
    }
    return {result};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const Tensor& value = inputs[0];
    const std::size_t rank = inputs.size() - 1, leading = rank - value.shape().size();
    Shape shape;
    for (std::size_t i = 0; i < rank; ++i) {
      shape.push_back(inputs[i + 1].item<std::int64_t>());
      const bool broadcasts = i < leading || node.input(0).type().shape[i - leading] == 1;
      require_extent(shape[i], i < leading ? 1 : value.shape()[i - leading], broadcasts, value.shape());
    }
    return {value.broadcast_to(shape).copy()};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    std::vector<InputGradient> result(node.input_count(), InputGradient::disconnected());
    const Variable& value = node.input(0);
    std::vector<int> leading;
    for (int i = 0; i < node.type().rank() - value.rank(); ++i) leading.push_back(i);
    const Variable g = leading.empty() ? gradients[0] : sum(gradients[0], leading);
    result[0] = sum_to(g, value);
    return result;
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 0; }
  std::vector<std::size_t> shape_inputs(const Node& node) const override {
    std::vector<std::size_t> result;
    for (std::size_t i = 1; i < node.input_count(); ++i) result.push_back(i);
    return result;
  }
  std::string label(const Node&) const override { return "Alloc"; }
};

Variable constant_of(double value, std::optional<DType> dtype) {
  return scalar_constant(value, dtype.value_or(float_x()));
}

}  // namespace

const Op& alloc_op() {
  static const Alloc op;
  return op;
}
[[maybe_unused]] const Op& alloc_registered_at_start = alloc_op();

Variable alloc(const Operand& value, const SymbolicShape& shape) {
  const LocationScope scope(value.where());
  std::vector<Variable> inputs = {as_variable(value)};
  inputs.insert(inputs.end(), shape.extents().begin(), shape.extents().end());
  return apply_op(alloc_op(), std::move(inputs));
}

Variable full(const SymbolicShape& shape, const Operand& value, std::optional<DType> dtype) {
  const LocationScope scope(value.where());
  return alloc(dtype ? as_dtype(value, *dtype) : as_variable(value), shape);
}

Variable zeros(const SymbolicShape& shape, std::optional<DType> dtype, std::source_location where) {
  const LocationScope scope(where);
  return alloc(constant_of(0, dtype), shape);
}

Variable ones(const SymbolicShape& shape, std::optional<DType> dtype, std::source_location where) {
  const LocationScope scope(where);
  return alloc(constant_of(1, dtype), shape);
}

Variable tile(const Operand& operand, const std::vector<std::int64_t>& reps) {
  const LocationScope scope(operand.where());
  Variable x = as_variable(operand);
  std::vector<std::int64_t> counts = reps;
  for (const std::int64_t n : counts) {
    if (n < 0) throw ValueError(fmt::format("tile: {} repetitions of {}", n, describe(x)));
  }
  const int missing = static_cast<int>(counts.size()) - x.rank();
  if (missing > 0) x = shape_padleft(x, missing);
  if (missing < 0) counts.insert(counts.begin(), static_cast<std::size_t>(-missing), 1);
  for (int axis = 0; axis < x.rank(); ++axis) {
    const std::int64_t n = counts[static_cast<std::size_t>(axis)];
    if (n == 1) continue;
    // [.., extent, ..] to [.., n, extent, ..] to [.., n * extent, ..].
    std::vector<Operand> spread, merged;
    for (int i = 0; i < x.rank(); ++i) {
      if (i == axis) spread.emplace_back(n);
      const std::int64_t known = x.type().shape[static_cast<std::size_t>(i)];
      const Variable extent = known == unknown ? x.shape(i) : constant(Tensor(known));
      spread.emplace_back(extent);
      if (i != axis) {
        merged.emplace_back(extent);
      } else {
        merged.emplace_back(known == unknown ? mul(extent, n) : constant(Tensor(known * n)));
      }
    }
    x = reshape(alloc(expand_dims(x, axis), spread), merged);
  }
  return x;
}

}  // namespace croton
