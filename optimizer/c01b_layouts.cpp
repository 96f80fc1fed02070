// Convolutions over c01b (conv_c01b.cpp) are built between transpositions. Elementwise work behind one is
// done in its layout, so that the transposition moves on towards the next convolution, whose own undoes it.

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

const std::vector<std::int64_t> c01b_to_bc01{3, 0, 1, 2}, bc01_to_c01b{1, 2, 3, 0};

class C01bLayouts {
 public:
  explicit C01bLayouts(FunctionGraph& graph) : graph_(graph) {}

  void run() {
    std::vector<Ref<Node>> order;
    for (Node* node : graph_.topological_order()) order.emplace_back(node);
    for (const Ref<Node>& node : order) {
      if (!node->is_apply() || graph_.client_count(node->output()) == 0) continue;
      if (&node->op() == &dimshuffle_op()) {
        meet(*node);
      } else if (as_elementwise(node->op()) != nullptr && node->output_count() == 1) {
        move_behind(*node);
      }
    }
  }

 private:
  /// A transposition: it begins at a convolution, or ends where what it transposes lies in c01b.
  void meet(Node& node) {
    const Variable& x = node.input(0);
    const std::vector<std::int64_t>& pattern = shuffle_pattern(node);
    if (pattern == c01b_to_bc01 && node_of(x, &c01b_conv_op()) != nullptr) {
      in_c01b_.emplace(node.output(), x);
    } else if (const auto known = in_c01b_.find(x); pattern == bc01_to_c01b && known != in_c01b_.end()) {
      graph_.replace(node.output(), known->second, "c01b_layouts");
    }
  }

  /// f(transposed a, b) = transposed f(a, transposed back b), where every other operand is spread over an
  /// axis.
  void move_behind(Node& node) {
    const auto is_known = [&](const Variable& x) { return in_c01b_.contains(x); };
    const auto is_spread = [&](const Variable& x) {
      return x.type().shape.count() < node.type().shape.count();
    };
    const auto inputs = node.inputs();
    if (std::ranges::none_of(inputs, is_known)) return;
    if (!std::ranges::all_of(inputs, [&](const Variable& x) { return is_known(x) || is_spread(x); })) return;
    std::vector<Variable> operands;
    for (const Variable& x : inputs)
      operands.push_back(is_known(x) ? in_c01b_.at(x) : dimshuffle(x, bc01_to_c01b));
    const Variable moved = apply_op(node.op(), std::move(operands), node.attributes());
    const Variable transposed = dimshuffle(moved, c01b_to_bc01);
    graph_.replace(node.output(), transposed, "c01b_layouts");
    in_c01b_.emplace(transposed, moved);
  }

  FunctionGraph& graph_;
  /// What there is in c01b of a variable in bc01.
  std::unordered_map<Variable, Variable> in_c01b_;
};

}  // namespace

void keep_c01b(FunctionGraph& graph) {
  const bool has_c01b = std::ranges::any_of(graph.nodes(), [](const Ref<Node>& node) {
    return node->is_apply() && &node->op() == &c01b_conv_op();
  });
  if (has_c01b) C01bLayouts(graph).run();
}

}  // namespace croton
