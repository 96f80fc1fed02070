#include "croton/ops/composite.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/fused_body.h"
#include "croton/optimizer/fusion_groups.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

/// The node that computes a group, or nothing where one node is all there is.
Ref<Node> fused(const FusionPlan& plan, std::size_t number, const FusionGroup& group, BodyMaker& bodies) {
  const SourceLocation where = group.root->where();
  const auto is_inside = [&](const Node& node) { return plan.inside(node, number); };
  if (group.reduction == nullptr) {
    if (group.members.size() < 2) return {};
    std::vector<Variable> inputs;
    auto body = bodies.make(is_inside, {group.root->output()}, nullptr, inputs);
    return inputs.empty() ? Ref<Node>() : make_composite(std::move(body), std::move(inputs), where);
  }
  if (group.members.empty()) return {};
  const Node& reduction = *group.reduction;
  CompositeReduce parts;
  parts.op = reduction.op().name();
  parts.axes = reduced_axes(reduction);
  std::vector<Variable> inputs, further;
  parts.body = bodies.make(is_inside, {reduction.input(0)}, nullptr, inputs);
  if (inputs.empty()) return {};
  if (group.root.get() != group.reduction) {
    parts.epilogue = bodies.make(is_inside, {group.root->output()}, group.reduction, further);
    inputs.insert(inputs.end(), further.begin() + 1, further.end());
  }
  return make_composite_reduce(parts, std::move(inputs), where);
}

}  // namespace

void fuse(FunctionGraph& graph) {
  FusionPlan plan(graph);
  BodyMaker bodies;
  for (std::size_t i = 0; i < plan.groups().size(); ++i) {
    const FusionGroup& group = plan.groups()[i];
    if (group.root->graph() != &graph) continue;  // merged with an equal one
    if (const Ref<Node> node = fused(plan, i, group, bodies)) {
      graph.replace(group.root->output(), node->output(), "fusion");
    }
  }
}

}  // namespace croton
