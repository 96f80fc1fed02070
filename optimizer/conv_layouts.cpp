// Convolutions over other layouts than bc01 (conv_c01b.cpp, conv_dnn_graph.cpp) are built between
// transpositions. Elementwise work and pooling behind one are done in its layout, so that the transposition
// moves on towards the next convolution, whose own undoes it.

#include "croton/optimizer/conv_layouts.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "croton/graph/op.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/indexing.h"
#include "croton/ops/pool.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/match.h"
#include "croton/optimizer/passes.h"

namespace croton {

namespace {

constexpr ConvLayout other_layouts[] = {ConvLayout::b01c, ConvLayout::c01b};
// How much elementwise work is followed to see what an operand lies like.
constexpr std::size_t most_followed = 32;
constexpr std::size_t least_axes = 3;  // batch, channels, one of the image

/// The layout whose transposition into bc01, or out of it, the pattern is; of neither: nothing.
std::optional<ConvLayout> layout_out_of(const std::vector<std::int64_t>& pattern) {
  for (const ConvLayout layout : other_layouts) {
    if (pattern.size() >= least_axes && pattern == axes_out_of(layout, pattern.size())) return layout;
  }
  return std::nullopt;
}
std::optional<ConvLayout> layout_into(const std::vector<std::int64_t>& pattern) {
  for (const ConvLayout layout : other_layouts) {
    if (pattern.size() >= least_axes && pattern == axes_into(layout, pattern.size())) return layout;
  }
  return std::nullopt;
}

bool is_spread(const Variable& x, const Node& node) {
  return x.type().shape.count() < node.type().shape.count();
}

/// An operand that is spread, transposed. Constants stay constants: on a GPU one that lies on the host is
/// taken from there, what is computed of it is not.
Variable spread_into(const Variable& x, ConvLayout layout) {
  const std::vector<std::int64_t> axes = axes_into(layout, x.type().shape.size());
  if (x.type().shape.count() == 1) return x;
  if (x.is_constant()) return constant(x.node()->value().transpose(Shape(axes)).contiguous());
  return dimshuffle(x, axes);
}

/// What a pool_2d node gives, of x whose rows and columns are the two axes in the middle, as they are in b01c
/// and c01b. Nothing where windows reach outside, or have many elements.
std::optional<Variable> pooled_in_middle(const Variable& x, const Node& node) {
  constexpr std::int64_t most_elements = 16;
  const PoolWindows windows(node.attributes());
  const Shape& out = node.type().shape;
  const std::int64_t elements = windows.ws.count();
  if (elements < 1 || elements > most_elements || out.count() == 0) return std::nullopt;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t reached = (out[2 + axis] - 1) * windows.stride[axis] + windows.ws[axis];
    if (windows.pad[axis] != 0 || reached > x.type().shape[1 + axis]) return std::nullopt;
  }
  const auto every = [&](std::size_t axis, std::int64_t first) {
    const std::int64_t stride = windows.stride[axis];
    return slice(first, first + (out[2 + axis] - 1) * stride + 1, stride);
  };
  std::vector<Variable> parts;
  for (std::int64_t row = 0; row < windows.ws[0]; ++row) {
    for (std::int64_t column = 0; column < windows.ws[1]; ++column)
      parts.push_back(x(all, every(0, row), every(1, column), all));
  }
  const bool is_max = windows.mode == PoolWindows::Mode::max;
  const bool is_mean = !is_max && windows.mode != PoolWindows::Mode::sum;
  // Sums of halves would be rounded between the additions.
  if (!is_max && size_of(x.dtype()) < size_of(DType::float32)) return std::nullopt;
  const Variable folded =
      parts.size() == 1 ? parts[0] : elementwise(is_max ? "maximum" : "add", std::move(parts));
  if (!is_mean) return folded;
  return elementwise("true_div", {folded, uniform_constant(static_cast<double>(elements), x.dtype(), 4)});
}

class LayoutKeeper {
 public:
  explicit LayoutKeeper(FunctionGraph& graph) : graph_(graph) {}

  void run() {
    std::vector<Ref<Node>> order;
    for (Node* node : graph_.topological_order()) order.emplace_back(node);
    for (const Ref<Node>& node : order) {
      if (!node->is_apply() || graph_.client_count(node->output()) == 0) continue;
      if (&node->op() == &dimshuffle_op()) {
        meet(*node);
      } else if (&node->op() == &pool_2d_op()) {
        pool_in_layout(*node);
      } else if (as_elementwise(node->op()) != nullptr && node->output_count() == 1) {
        move_behind(*node);
      }
    }
  }

 private:
  /// A variable in bc01, in the layout that it was computed in.
  struct Lying {
    ConvLayout layout = ConvLayout::bc01;
    Variable value;
  };

  /// A transposition: it begins at a convolution, or ends where what it transposes lies in that layout.
  void meet(Node& node) {
    const Variable& x = node.input(0);
    const std::vector<std::int64_t>& pattern = shuffle_pattern(node);
    if (const auto layout = layout_out_of(pattern); layout && is_computed_in(x, *layout)) {
      lying_.emplace(node.output(), Lying{*layout, x});
    } else if (const auto known = lying_.find(x);
               known != lying_.end() && layout_into(pattern) == known->second.layout) {
      graph_.replace(node.output(), known->second.value, "conv_layouts");
    }
  }

  static bool is_computed_in(const Variable& x, ConvLayout layout) {
    return x.node()->is_apply() && x.node()->attributes().contains("direction") &&
           conv_layout_of(x.node()->op()) == layout;
  }

  /// f(transposed a, b) = transposed f(a, transposed back b), where every other operand is spread over an
  /// axis.
  void move_behind(Node& node) {
    std::optional<ConvLayout> layout;
    for (const Variable& x : node.inputs()) {
      const auto known = lying_.find(x);
      if (known == lying_.end() && !is_spread(x, node)) return;
      if (known == lying_.end()) continue;
      if (layout && *layout != known->second.layout) return;
      layout = known->second.layout;
    }
    if (!layout) return;
    std::vector<Variable> operands;
    for (const Variable& x : node.inputs()) {
      const auto known = lying_.find(x);
      operands.push_back(known != lying_.end() ? known->second.value : spread_into(x, *layout));
    }
    put(node, *layout, apply_op(node.op(), std::move(operands), node.attributes()));
  }

  /// Pooling of what lies in another layout, as elementwise work on the windows' first elements, on their
  /// second ones and so on: side by side lie channels or images, not rows.
  void pool_in_layout(Node& node) {
    const auto known = lying_.find(node.input(0));
    if (known == lying_.end() || node.type().shape.size() != 4) return;
    const auto [layout, x] = known->second;
    if (const std::optional<Variable> pooled = pooled_in_middle(x, node)) put(node, layout, *pooled);
  }

  void put(Node& node, ConvLayout layout, const Variable& value) {
    const Variable transposed = dimshuffle(value, axes_out_of(layout, value.type().shape.size()));
    graph_.replace(node.output(), transposed, "conv_layouts");
    lying_.emplace(transposed, Lying{layout, value});
  }

  FunctionGraph& graph_;
  std::unordered_map<Variable, Lying> lying_;
};

}  // namespace

ConvLayout layout_in_graph(const Variable& operand) {
  std::optional<ConvLayout> found;
  std::vector<Variable> open{operand};
  for (std::size_t i = 0; i < open.size(); ++i) {
    const Variable x = open[i];
    if (open.size() > most_followed || !x.node()->is_apply()) return ConvLayout::bc01;
    const Node& node = *x.node();
    if (&node.op() == &dimshuffle_op()) {
      const auto layout = layout_out_of(shuffle_pattern(node));
      if (!layout || (found && *found != *layout)) return ConvLayout::bc01;
      found = layout;
    } else if (as_elementwise(node.op()) != nullptr && node.output_count() == 1) {
      for (const Variable& input : node.inputs()) {
        if (!is_spread(input, node)) open.push_back(input);
      }
    } else {
      return ConvLayout::bc01;
    }
  }
  return found.value_or(ConvLayout::bc01);
}

ConvLayout layout_of_uses(const Node& node) {
  std::optional<ConvLayout> found;
  for (const Use& use : node.uses()) {
    if (&use.node->op() != &dimshuffle_op()) return ConvLayout::bc01;
    const auto layout = layout_into(shuffle_pattern(*use.node));
    if (!layout || (found && *found != *layout)) return ConvLayout::bc01;
    found = layout;
  }
  return found.value_or(ConvLayout::bc01);
}

void keep_layouts(FunctionGraph& graph) {
  const bool has_other = std::ranges::any_of(graph.nodes(), [](const Ref<Node>& node) {
    return node->is_apply() && conv_layout_of(node->op()) != ConvLayout::bc01;
  });
  if (has_other) LayoutKeeper(graph).run();
}

}  // namespace croton
