#include <algorithm>
#include <optional>
#include <vector>

#include "croton/ops/blas.h"
#include "croton/ops/shape_ops.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/match.h"
#include "croton/optimizer/passes.h"

// A product whose inner extent is 2 does four operations for an element that is written: it is bound by
// memory, and as elementwise work it fuses with what stands around it, where a library's product is read
// again.

namespace croton {

namespace {

constexpr std::int64_t most_terms = 3;
// Rows of the product from which a copy of the factor that all of them read is nothing.
constexpr std::int64_t least_readers = 256;

std::optional<double> known(const Variable& scalar) {
  return scalar.is_constant() ? uniform_value(scalar) : std::nullopt;
}

/// factor * v; v where the factor is known to be 1.
Variable scaled(const Variable& factor, const Variable& v) {
  const std::optional<double> number = known(factor);
  if (number == 1.0) return v;
  // A constant belongs to no device; what is computed from one would be the host's.
  return elementwise(
      "mul", {number ? uniform_constant(*number, v.dtype(), v.rank()) : pad_left(factor, v.rank()), v});
}

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
  if (terms < 1 || terms > most_terms) return std::nullopt;
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
  if (&op == &dot22_op()) return outer_products(node.input(0), node.input(1));
  if (&op == &dot22_scalar_op()) {
    const auto product = outer_products(node.input(0), node.input(1));
    return product ? std::optional(scaled(node.input(2), *product)) : std::nullopt;
  }
  if (&op == &gemm_op()) {
    const auto product = outer_products(node.input(2), node.input(3));
    if (!product) return std::nullopt;
    return elementwise("add", {scaled(node.input(4), node.input(0)), scaled(node.input(1), *product)});
  }
  return std::nullopt;
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
