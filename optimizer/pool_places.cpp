#include <algorithm>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/pool.h"
#include "croton/optimizer/passes.h"

// The gradient of max_pool(x) looks for the maxima again, in all of x. Where a pooling says where they lie,
//
//     y, places = max_pool_places(x);   gx = max_pool_places_grad(places, gy)
//
// x need not be kept, and a byte a window is read in the place of a window and its maximum. The filters'
// gradient of a direct convolution, which reads every element of gx once, finds these by itself: gx, as large
// as the convolution's result, is never stored.

namespace croton {

namespace {

/// The pooling that a gradient belongs to, where its maxima have places.
const Node* pooling_of(const Node& gradient) {
  if (!gradient.is_apply() || &gradient.op() != &pool_2d_grad_op() || !gradient.type().device.is_cuda())
    return nullptr;
  const Node& pooling = *gradient.input(1).node();
  if (!pooling.is_apply() || &pooling.op() != &pool_2d_op() || !(pooling.input(0) == gradient.input(0)) ||
      !(pooling.attributes() == gradient.attributes()))
    return nullptr;
  return PoolWindows(pooling.attributes()).have_places() ? &pooling : nullptr;
}

bool is_direct_weights_gradient(const Use& use) {
  if (!use.node->is_apply() || &use.node->op() != &direct_conv_op() || use.slot != 1) return false;
  const ConvProblem problem = concrete_conv_problem(*use.node);
  return problem.direction == ConvDirection::backward_weights && problem.rank == 2 && !problem.unshared;
}

/// Gives the places to the convolutions that use a gradient, where nobody else does and windows lie side by
/// side.
void give_to_convolutions(FunctionGraph& graph, const Variable& gradient) {
  const std::vector<Use> uses(gradient.node()->uses().begin(), gradient.node()->uses().end());
  if (graph.is_output(gradient) || !std::ranges::all_of(uses, is_direct_weights_gradient)) return;
  const Node& from = *gradient.node();
  const Variable places = from.input(0), gy = from.input(1);
  const Shape& shape = from.type().shape;
  if (!PoolWindows(from.attributes()).cover(shape[shape.size() - 2], shape.back())) return;
  const auto& windows = from.attributes().get<std::vector<std::int64_t>>("ws");
  for (const Use& use : uses) {
    const Node& conv = *use.node;
    const Variable fused = apply_op(direct_conv_op(), {conv.input(0), gy, places},
                                    conv.attributes().with("maxima", windows), conv.where());
    graph.replace(conv.output(), fused, "pool_places");
  }
}

}  // namespace

void keep_pool_places(FunctionGraph& graph) {
  std::vector<Ref<Node>> gradients;  // by age: what is made of them has one order
  for (const Ref<Node>& node : graph.nodes()) {
    if (pooling_of(*node) != nullptr) gradients.push_back(node);
  }
  std::ranges::sort(gradients, {}, [](const Ref<Node>& node) { return node->id(); });
  for (const Ref<Node>& gradient : gradients) {
    if (gradient->graph() != &graph) continue;
    const Node* pooling = pooling_of(*gradient);
    if (pooling == nullptr) continue;
    const Ref<Node> with_places =
        make_node(max_pool_places_op(), {pooling->input(0)}, pooling->attributes(), pooling->where());
    const Shape& x = gradient->type().shape;
    const std::vector<std::int64_t> extents{x[x.size() - 2], x.back()};
    const Variable spread = apply_op(max_pool_places_grad_op(), {with_places->output(1), gradient->input(2)},
                                     gradient->attributes().with("extents", extents), gradient->where());
    const std::vector<std::pair<Variable, Variable>> pairs{{pooling->output(), with_places->output(0)},
                                                           {gradient->output(), spread}};
    graph.replace_all(pairs, "pool_places");
    give_to_convolutions(graph, spread);
  }
}

}  // namespace croton
