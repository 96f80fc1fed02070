#include <algorithm>
#include <array>
#include <string_view>

#include "croton/graph/tensor.h"
#include "croton/ops/composite.h"
#include "croton/ops/conv.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/indexing.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/rule_sets.h"

namespace croton {

namespace {

/// Ops whose output 0 has the shape of an input, and which input.
struct SameShape {
  std::string_view op;
  std::size_t input;
};
constexpr std::array same_shape{
    SameShape{"softmax", 0},
    SameShape{"log_softmax", 0},
    SameShape{"softmax_grad", 1},
    SameShape{"softmax_with_bias", 0},
    SameShape{"crossentropy_categorical_1hot", 1},
    SameShape{"crossentropy_categorical_1hot_grad", 1},
    SameShape{"crossentropy_softmax_1hot_with_bias", 2},
    SameShape{"crossentropy_softmax_1hot_with_bias_dx", 1},
    SameShape{"contiguous", 0},
    SameShape{"inc_subtensor", 0},
    SameShape{"pool_2d_grad", 0},
    SameShape{"disconnected_grad", 0},
    SameShape{"zero_grad", 0},
    SameShape{"grad_clip", 0},
    SameShape{"grad_scale", 0},
};

/// The extent of a join along its axis is the sum of those of its parts.
Variable joined_extent(const Node& join, int axis) {
  const int along = static_cast<int>(join.attributes().get<std::int64_t>("axis"));
  if (axis != along) return extent(join.input(0), axis);
  std::vector<Variable> parts;
  for (const Variable& input : join.inputs()) parts.push_back(extent(input, axis));
  return parts.size() == 1 ? parts[0] : elementwise("add", parts);
}

/// A given extent is that of the result unless it is -1, which only one that is no shape can be.
Variable reshaped_extent(const Node& reshape, int axis) {
  const Node* shape = node_of(reshape.input(1), &make_vector_op());
  if (shape == nullptr || shape->type().dtype != DType::int64) return {};
  const Variable& entry = shape->input(static_cast<std::size_t>(axis));
  return node_of(entry, &shape_i_op()) != nullptr ? entry : Variable();
}

/// The extent of an axis that an index leaves whole.
Variable indexed_extent(const Node& subtensor, int axis) {
  const IndexPattern index = decode_index(subtensor.attributes().get<std::vector<std::int64_t>>("index"));
  int source = 0;
  for (int result = 0; source < subtensor.input(0).rank(); ++source) {
    const bool indexed = source < static_cast<int>(index.size());
    if (indexed && index[static_cast<std::size_t>(source)].is_integer) continue;
    if (result++ < axis) continue;
    if (indexed) {
      const IndexEntry& entry = index[static_cast<std::size_t>(source)];
      const bool whole = entry.start.kind == IndexField::Kind::absent &&
                         entry.stop.kind == IndexField::Kind::absent &&
                         entry.step.kind == IndexField::Kind::absent;
      if (!whole) return {};
    }
    return extent(subtensor.input(0), source);
  }
  return {};
}

/// The extent `axis` of output `output` of a node, from its inputs' extents: their values are not needed
/// then.
Variable extent_of(const Node& node, std::size_t output, int axis) {
  const Op& op = node.op();
  const std::string& name = op.name();
  if (as_elementwise(op) != nullptr || &op == &composite_op()) {
    for (const Variable& input : node.inputs()) {
      if (!input.type().broadcastable(axis)) return extent(input, axis);
    }
    return {};
  }
  if (&op == &dimshuffle_op()) {
    return extent(node.input(0), static_cast<int>(shuffle_pattern(node)[static_cast<std::size_t>(axis)]));
  }
  if (as_reduce(op) != nullptr || name == "argmax" || name == "argmin") {
    const std::vector<std::int64_t> axes = reduced_axes(node);
    for (int source = 0, result = 0; source < node.input(0).rank(); ++source) {
      if (std::ranges::find(axes, source) != axes.end()) continue;
      if (result++ == axis) return extent(node.input(0), source);
    }
    return {};
  }
  if (&op == &alloc_op()) return node.input(1 + static_cast<std::size_t>(axis));
  if (&op == &join_op()) return joined_extent(node, axis);
  if (&op == &reshape_op()) return reshaped_extent(node, axis);
  if (&op == &subtensor_op()) return indexed_extent(node, axis);
  if (name == "dot" || name == "dot22" || name == "dot22_scalar") {
    const int rows = node.input(0).rank() - 1;
    return axis < rows ? extent(node.input(0), 0) : extent(node.input(1), 1);
  }
  if (name == "gemm") return extent(node.input(axis == 0 ? 2 : 3), axis);
  if (&op == &conv2d_op()) {
    return axis < 2 ? extent(node.input(static_cast<std::size_t>(axis)), 0) : Variable();
  }
  if (&op == &conv2d_grad_inputs_op() && axis >= 2) return node.input(static_cast<std::size_t>(axis));
  if (&op == &conv2d_grad_weights_op() && axis >= 2) return node.input(static_cast<std::size_t>(axis));
  if (name == "pool_2d" && axis < node.input(0).rank() - 2) return extent(node.input(0), axis);
  if (name == "crossentropy_softmax_1hot_with_bias" && output == 1) return extent(node.input(0), axis);
  for (const SameShape& entry : same_shape) {
    if (entry.op == name && output == 0) return extent(node.input(entry.input), axis);
  }
  return {};
}

Replacement lift_extent(Match& match) {
  const Variable& x = match.input(0);
  const int axis = static_cast<int>(match.node().attributes().get<std::int64_t>("axis"));
  if (x.type().shape[static_cast<std::size_t>(axis)] != unknown) return extent(x, axis);
  if (!x.node()->is_apply()) return match.refuse("the operand is an input: its extent is known at run time");
  return extent_of(*x.node(), x.output_index(), axis);
}

Replacement shape_to_extents(Match& match) {
  const Variable& x = match.input(0);
  if (x.rank() == 0) return match.refuse("it has no axes");  // an empty constant: folding makes it
  std::vector<Variable> extents;
  for (int axis = 0; axis < x.rank(); ++axis) extents.push_back(extent(x, axis));
  return apply_op(make_vector_op(), std::move(extents), Attributes{{"dtype", DType::int64}});
}

/// make_vector(a, b)[1] = b
Replacement element_of_vector(Match& match) {
  const Node* vector = node_of(match.input(0), &make_vector_op());
  if (vector == nullptr) return match.refuse("the operand is no vector made of scalars");
  const std::optional<std::vector<AxisSelection>> selection =
      static_selection(match.node(), vector->type().shape);
  if (!selection) return match.refuse("the index is known at run time only");
  const AxisSelection& only = selection->front();
  if (only.dropped) return vector->input(static_cast<std::size_t>(only.start));
  std::vector<Variable> elements;
  for (std::int64_t i = 0; i < only.extent; ++i) {
    elements.push_back(vector->input(static_cast<std::size_t>(only.start + i * only.step)));
  }
  return elements.empty() ? Replacement()
                          : apply_op(make_vector_op(), std::move(elements), vector->attributes());
}

}  // namespace

const RuleSet& shape_rules() {
  static const RuleSet rules = {
      rule("lift_extent", Roots("shape_i"), lift_extent),
      rule("shape_to_extents", Roots("shape"), shape_to_extents),
      rule("element_of_vector", Roots("subtensor"), element_of_vector),
  };
  return rules;
}

}  // namespace croton
