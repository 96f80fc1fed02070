#include "croton/optimizer/expressions.h"

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/graph/tensor.h"
#include "croton/ops/blas.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/match.h"

namespace croton {

Variable elementwise(std::string_view op, std::vector<Variable> inputs) {
  return apply_op(*find_elementwise(op), std::move(inputs));
}

Variable dimshuffle(const Variable& x, const std::vector<std::int64_t>& pattern) {
  bool same = pattern.size() == static_cast<std::size_t>(x.rank());
  for (std::size_t i = 0; same && i < pattern.size(); ++i) same = pattern[i] == static_cast<std::int64_t>(i);
  return same ? x : apply_op(dimshuffle_op(), {x}, Attributes{{"pattern", pattern}});
}

Variable pad_left(const Variable& x, int rank) {
  std::vector<std::int64_t> pattern(static_cast<std::size_t>(rank), -1);
  for (int axis = 0; axis < x.rank(); ++axis)
    pattern[static_cast<std::size_t>(rank - x.rank() + axis)] = axis;
  return dimshuffle(x, pattern);
}

Variable integer_constant(std::int64_t value) { return constant(Tensor(value)); }

Variable extent(const Variable& x, int axis) {
  const std::int64_t known = x.type().shape[static_cast<std::size_t>(axis)];
  if (known != unknown) return integer_constant(known);
  return apply_op(shape_i_op(), {x}, Attributes{{"axis", std::int64_t{axis}}});
}

Variable reduction(const Op& op, const Variable& x, std::vector<std::int64_t> axes) {
  std::ranges::sort(axes);
  return apply_op(op, {x}, Attributes{{"axes", std::move(axes)}});
}

Variable instead_of_product(const Node& product, const Variable& value) {
  const auto scaled = [](const Variable& factor, const Variable& v) {
    const std::optional<double> number = factor.is_constant() ? uniform_value(factor) : std::nullopt;
    if (number == 1.0) return v;
    // A constant belongs to no device; what is computed from one would be the host's.
    return elementwise(
        "mul", {number ? uniform_constant(*number, v.dtype(), v.rank()) : pad_left(factor, v.rank()), v});
  };
  if (&product.op() == &dot22_scalar_op()) return scaled(product.input(2), value);
  if (&product.op() != &gemm_op()) return value;
  return elementwise("add", {scaled(product.input(4), product.input(0)), scaled(product.input(1), value)});
}

Node* node_of(const Variable& v, const Op* op) {
  Node* node = v.node();
  return node->is_apply() && &node->op() == op ? node : nullptr;
}

Node* node_of(const Variable& v, std::string_view op) {
  Node* node = v.node();
  return node->is_apply() && node->op().name() == op ? node : nullptr;
}

bool is_elementwise(const Variable& v) {
  return v.node()->is_apply() && as_elementwise(v.node()->op()) != nullptr;
}

const std::vector<std::int64_t>& shuffle_pattern(const Node& dimshuffle) {
  return dimshuffle.attributes().get<std::vector<std::int64_t>>("pattern");
}

std::vector<std::int64_t> reduced_axes(const Node& reduction) {
  return reduction.attributes().get<std::vector<std::int64_t>>("axes");
}

bool is_all_ones(const TensorType& type) {
  return std::ranges::all_of(type.shape, [](std::int64_t extent) { return extent == 1; });
}

bool same_broadcast(const TensorType& a, const TensorType& b) {
  if (a.rank() != b.rank()) return false;
  for (int axis = 0; axis < a.rank(); ++axis) {
    if (a.broadcastable(axis) != b.broadcastable(axis)) return false;
  }
  return true;
}

bool same_known_shape(const TensorType& a, const TensorType& b) {
  return a.shape.is_known() && a.shape == b.shape;
}

}  // namespace croton
