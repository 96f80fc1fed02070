#include <fmt/format.h>

#include "croton/graph/op.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/fusion_groups.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

bool is_fused(const Op& op) { return &op == &composite_op() || &op == &composite_reduce_op(); }

bool takes_part(const Node& node) {
  return node.is_apply() &&
         (as_elementwise(node.op()) != nullptr || as_reduce(node.op()) != nullptr || is_fused(node.op()));
}

std::string label(const Node& node) { return node_label(node); }

}  // namespace

std::optional<std::string> why_not_fused(const FunctionGraph& graph, const Node& node) {
  if (is_fused(node.op())) return std::nullopt;
  if (!takes_part(node))
    return fmt::format("fusion takes elementwise nodes and reductions, the node is {}", label(node));
  if (node.op().name() == "all" || node.op().name() == "any")
    return fmt::format("{} stops early, which no fused loop does", label(node));
  std::string text;
  const auto add = [&](const std::string& reason) { text += (text.empty() ? "" : "; ") + reason; };

  // Upwards: into the nodes that read it.
  const Variable value = const_cast<Node&>(node).output();
  std::size_t partners = 0;
  const Node* other = nullptr;
  for (const Use& use : node.uses()) {
    if (takes_part(*use.node)) {
      ++partners;
    } else {
      other = use.node;
    }
  }
  if (graph.is_output(value)) {
    add("its value is a result and must be stored");
  } else if (other != nullptr) {
    add(fmt::format("{} reads its value, which must be stored for it", label(*other)));
  } else if (partners > 1) {
    add(fmt::format("{} nodes read its value, and computing it in each costs more than storing it",
                    partners));
  } else if (partners == 1) {
    add(fmt::format(
        "its reader {} has other extents, or is full: a fused node has at most {} nodes and {} inputs",
        label(*node.uses()[0].node), FusionPlan::most_nodes, FusionPlan::most_inputs));
  }
  // Downwards: what it reads.
  bool has_producer = false;
  for (const Variable& input : node.inputs()) {
    if (!input.node()->is_apply()) continue;
    has_producer = true;
    if (!takes_part(*input.node())) {
      add(fmt::format("its operand {} is neither elementwise nor a reduction", label(*input.node())));
    } else if (graph.client_count(input) > 1) {
      add(fmt::format("its operand {} is used {} times", label(*input.node()), graph.client_count(input)));
    }
  }
  if (!has_producer) add("its operands are inputs");
  return text;
}

}  // namespace croton
