// What is only joined is computed where the join wants it.

#include <algorithm>

#include "croton/graph/op.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/shape_ops.h"
#include "croton/runtime/plan_builder.h"

namespace croton {

namespace {

/// Generated code computes it, wherever its output shall lie.
bool may_be_placed(const Node& node) {
  return node.is_apply() && node.type().device.is_cuda() && node.output_count() == 1 &&
         (as_elementwise(node.op()) != nullptr || &node.op() == &composite_op()) &&
         !node.attributes().contains("inplace");
}

}  // namespace

/// Where the operands of a join are computed; nothing where one of them is needed elsewhere, too, or is not
/// computed by generated code. Found once for all operands.
const PlanBuilder::JoinedPlaces& PlanBuilder::places_in(const Node& join) {
  const auto [entry, is_new] = joins_.try_emplace(&join);
  JoinedPlaces& places = entry->second;
  const TensorType& type = join.type();
  if (!is_new) return places;
  const bool fits = type.shape.is_known() && type.device.is_cuda() &&
                    std::ranges::all_of(join.inputs(), [&](const Variable& part) {
                      return may_be_placed(*part.node()) && part.node()->uses().size() == 1 &&
                             !graph_.is_output(part) && part.type().shape.is_known();
                    });
  if (!fits) return places;
  const Layout layout{type.dtype, type.shape, contiguous_strides(type.shape)};
  places.root = new_root(
      {.kind = Root::Kind::computed, .device = device_of(join), .node = &join, .bytes = bytes_of(layout)});
  const auto axis = static_cast<std::size_t>(join.attributes().get<std::int64_t>("axis"));
  const auto bytes = layout.strides[axis] * static_cast<std::ptrdiff_t>(size_of(type.dtype));
  std::ptrdiff_t offset = 0;
  for (const Variable& part : join.inputs()) {
    places.offsets.push_back(offset);
    offset += part.type().shape[axis] * bytes;
  }
  return places;
}

/// A place in the output of the join that alone uses the node, or none.
PlanBuilder::Place PlanBuilder::place_in_join(const Node& node) {
  const auto uses = node.uses();
  if (uses.size() != 1 || &uses[0].node->op() != &join_op() || devices_.empty()) return {};
  const Node& join = *uses[0].node;
  const JoinedPlaces& places = places_in(join);
  if (places.root < 0) return {};
  return {places.root,
          places.offsets[uses[0].slot],
          {node.type().dtype, node.type().shape, contiguous_strides(join.type().shape)}};
}

/// Operands of a join are computed in its place.
bool PlanBuilder::is_joined_in_place(const Node& node) const {
  const auto entry = joins_.find(&node);
  return entry != joins_.end() && entry->second.root >= 0;
}

bool PlanBuilder::add_join_in_place(const Node& node) {
  if (!is_joined_in_place(node)) return false;
  const TensorType& type = node.type();
  set_place(const_cast<Node&>(node).output(),
            {joins_.at(&node).root, 0, {type.dtype, type.shape, contiguous_strides(type.shape)}});
  return true;
}

}  // namespace croton
