#include <algorithm>
#include <optional>
#include <vector>

#include "croton/ops/blas.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/match.h"
#include "croton/optimizer/passes.h"

// cuBLASLt adds a bias to a product, and takes its relu, while the sums are still in registers. Other
// activations it does not know, or only by approximations: with them the bias stays in the kernel behind.

namespace croton {

namespace {

/// A product, and what is added to each of its rows.
struct Affine {
  Node* product = nullptr;
  Variable bias;  // may be absent
};

bool is_matrix_product(const Node& node) {
  return node.is_apply() &&
         (&node.op() == &dot22_op() || &node.op() == &dot22_scalar_op() || &node.op() == &gemm_op()) &&
         node.type().device.is_cuda() && !has_relu(node);
}

/// v as a product that nobody else uses, plus a row or nothing.
std::optional<Affine> affine(const FunctionGraph& graph, const Variable& v) {
  Node& node = *v.node();
  if (is_matrix_product(node)) return Affine{&node, {}};
  if (node_of(v, "add") == nullptr || node.input_count() != 2) return std::nullopt;
  const Shape& shape = node.type().shape;
  for (std::size_t i = 0; i < 2; ++i) {
    const Variable &product = node.input(i), &row = node.input(1 - i);
    const bool is_row = row.type().device.is_cuda() && row.type().shape == Shape{1, shape[1]};
    if (!is_row || shape[0] < 2 || graph.client_count(product) != 1) continue;
    if (!is_matrix_product(*product.node()) || &product.node()->op() == &gemm_op()) continue;
    if (product.type().shape == shape) return Affine{product.node(), row};
  }
  return std::nullopt;
}

/// The product with its bias and activation; nothing where no library does that.
std::optional<Variable> fused_product(const Affine& from, bool relu, const SpecializeOptions& options) {
  const Node& product = *from.product;
  std::vector<Variable> inputs(product.inputs().begin(), product.inputs().end());
  const Op* op = &product.op();
  if (from.bias) {
    const Variable one = uniform_constant(1, product.type().dtype, 0);
    const Variable scale = op == &dot22_scalar_op() ? product.input(2) : one;
    op = &gemm_op();
    inputs = {from.bias, scale, product.input(0), product.input(1), one};
  }
  Attributes attributes = product.attributes();
  if (relu) attributes = attributes.with("activation", std::string("relu"));
  const Ref<Node> fused = make_node(*op, std::move(inputs), std::move(attributes));
  return options.has_epilogues(*fused) ? std::optional(fused->output()) : std::nullopt;
}

/// relu(x) as a node says it: switch(x <= 0, 0, x), where nobody else uses x, or maximum(x, 0).
struct Relu {
  Variable x;
  Variable is_zero;  // x <= 0, where somebody else uses that, too
};

std::optional<Relu> relu_of(const FunctionGraph& graph, const Node& node) {
  const auto is_zero = [](const Variable& v) { return v.is_constant() && uniform_value(v) == 0.0; };
  if (node.op().name() == "maximum") {
    for (std::size_t i = 0; i < 2; ++i) {
      if (is_zero(node.input(1 - i)) && graph.client_count(node.input(i)) == 1)
        return Relu{node.input(i), {}};
    }
    return std::nullopt;
  }
  if (node.op().name() != "switch" || !is_zero(node.input(1))) return std::nullopt;
  const Variable &condition = node.input(0), &x = node.input(2);
  const Node* comparison = node_of(condition, "le");
  const bool is_relu = comparison != nullptr && comparison->input(0) == x && is_zero(comparison->input(1)) &&
                       graph.client_count(x) == 2;
  if (!is_relu) return std::nullopt;
  return Relu{x, graph.client_count(condition) > 1 ? condition : Variable()};
}

/// Somebody reads v in a node that would compute it itself.
bool fuses_with_a_client(const Variable& v) {
  return std::ranges::any_of(v.node()->uses(), [](const Use& use) {
    return as_elementwise(use.node->op()) != nullptr || as_reduce(use.node->op()) != nullptr;
  });
}

/// By age, so that two compilations of one graph make their nodes in the same order.
std::vector<Ref<Node>> elementwise_on_devices(const FunctionGraph& graph) {
  std::vector<Ref<Node>> found;
  for (const Ref<Node>& node : graph.nodes()) {
    if (node->is_apply() && as_elementwise(node->op()) != nullptr && node->type().device.is_cuda() &&
        is_floating(node->type().dtype) && node->type().rank() == 2)
      found.push_back(node);
  }
  std::ranges::sort(found, {}, [](const Ref<Node>& node) { return node->id(); });
  return found;
}

void fuse_relu(FunctionGraph& graph, const Node& node, const SpecializeOptions& options) {
  const std::optional<Relu> relu = relu_of(graph, node);
  if (!relu || relu->x.type().shape != node.type().shape) return;
  const std::optional<Affine> from = affine(graph, relu->x);
  if (!from) return;
  const std::optional<Variable> fused = fused_product(*from, true, options);
  if (!fused) return;
  std::vector<std::pair<Variable, Variable>> pairs = {{node.output(), *fused}};
  // relu(x) <= 0 where x <= 0, NaN or not.
  if (relu->is_zero)
    pairs.emplace_back(relu->is_zero, elementwise("le", {*fused, relu->is_zero.node()->input(1)}));
  graph.replace_all(pairs, "product_epilogues");
}

/// A bias with nothing behind it that it would fuse with.
void fuse_bias(FunctionGraph& graph, const Variable& sum, const SpecializeOptions& options) {
  const std::optional<Affine> from = affine(graph, sum);
  if (!from) return;
  if (const std::optional<Variable> fused = fused_product(*from, false, options))
    graph.replace(sum, *fused, "product_epilogues");
}

}  // namespace

void fuse_product_epilogues(FunctionGraph& graph, const SpecializeOptions& options) {
  if (!options.has_epilogues) return;
  for (const Ref<Node>& node : elementwise_on_devices(graph)) {
    if (node->graph() == &graph) fuse_relu(graph, *node, options);
  }
  for (const Ref<Node>& node : elementwise_on_devices(graph)) {
    if (node->op().name() == "add" && !fuses_with_a_client(node->output()))
      fuse_bias(graph, node->output(), options);
  }
}

}  // namespace croton
