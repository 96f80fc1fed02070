#include <algorithm>
#include <optional>
#include <vector>

#include "croton/ops/blas.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/passes.h"

// A product whose inner extent is 2 does four operations for an element that is written: it is bound by
// memory, and as elementwise work it fuses with what stands around it, where a library's product is read
// again.

namespace croton {

namespace {

constexpr std::int64_t most_thin_terms = 3;
// Rows of the product from which a copy of the factor that all of them read is nothing.
constexpr std::int64_t least_readers = 256;

/// y with its rows as they are read, for every row of x, several elements at a time: a transposed view is
/// copied once.
Variable with_rows_in_memory(const Variable& y, std::int64_t readers) {
  const Node& node = *y.node();
  const bool is_transposed = node.is_apply() && &node.op() == &dimshuffle_op() &&
                             shuffle_pattern(node) == std::vector<std::int64_t>{1, 0};
  return is_transposed && readers >= least_readers ? Variable(make_node(contiguous_op(), {y})) : y;
}

/// x @ y as a sum of outer products; nothing where that is not cheap.
std::optional<Variable> outer_products(const Variable& x, const Variable& given) {
  const std::int64_t terms = x.type().shape[1];
  if (terms < 1 || terms > most_thin_terms) return std::nullopt;
  const Variable y = with_rows_in_memory(given, x.type().shape[0]);
  std::vector<Variable> products;
  for (std::int64_t i = 0; i < terms; ++i) {
    products.push_back(elementwise("mul", {x(all, slice(i, i + 1)), y(slice(i, i + 1), all)}));
  }
  return terms == 1 ? products[0] : elementwise("add", products);
}

std::optional<Variable> expanded(const Node& node) {
  const Op& op = node.op();
  for (const Variable& input : node.inputs()) {
    if (input.is_constant() && input.rank() > 0) return std::nullopt;
  }
  if (has_relu(node)) return std::nullopt;
  const bool is_product = &op == &dot22_op() || &op == &dot22_scalar_op() || &op == &gemm_op();
  if (!is_product) return std::nullopt;
  const std::size_t first = &op == &gemm_op() ? 2 : 0;
  const LocationScope scope(node.where());
  const auto product = outer_products(node.input(first), node.input(first + 1));
  return product ? std::optional(instead_of_product(node, *product)) : std::nullopt;
}

}  // namespace

void expand_thin_products(FunctionGraph& graph) {
  std::vector<Ref<Node>> found;
  for (const Ref<Node>& node : graph.nodes()) {
    if (node->is_apply() && node->type().device.is_cuda() && is_floating(node->type().dtype))
      found.push_back(node);
  }
  // By age, so that two compilations of one graph make their nodes in the same order.
  std::ranges::sort(found, {}, [](const Ref<Node>& node) { return node->id(); });
  for (const Ref<Node>& node : found) {
    if (const std::optional<Variable> value = expanded(*node))
      graph.replace(node->output(), *value, "thin_products");
  }
}

}  // namespace croton
