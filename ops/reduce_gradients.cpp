#include "croton/ops/reduce_gradients.h"

#include "croton/ops/elementwise_functions.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

const std::vector<std::int64_t>& axes_of(const Node& node) {
  return node.attributes().get<std::vector<std::int64_t>>("axes");
}

/// For each element of x its index along the reduced axes, flattened in C order; broadcasts against x.
Variable positions(const Variable& x, const std::vector<std::int64_t>& axes) {
  Variable flat;
  for (const std::int64_t axis : axes) {
    const Variable extent = x.shape(static_cast<int>(axis));
    std::vector<int> pattern(static_cast<std::size_t>(x.rank()), 'x');
    pattern[static_cast<std::size_t>(axis)] = 0;
    const Variable along = arange(extent).dimshuffle(pattern);
    flat = flat ? flat * extent + along : along;
  }
  return flat;
}

}  // namespace

Variable gradient_of_sum(const Node& node, const Variable& gy) {
  return second(node.input(0), restore_axes(gy, axes_of(node)));
}

Variable gradient_of_prod(const Node& node, const Variable& gy) {
  const Variable& x = node.input(0);
  const auto& axes = axes_of(node);
  const Variable zero = eq(x, 0);
  const ReduceOp& prod = *find_reduce("prod");
  const Variable zeros = restore_axes(reduce(*find_reduce("sum"), zero, axes), axes);
  const Variable others = restore_axes(reduce(prod, switch_(zero, 1, x), axes), axes);
  const Variable product = restore_axes(node.output(), axes);
  // No zero: product / x. One: only that element matters. More: nothing does.
  const Variable partial = switch_(zero, switch_(eq(zeros, 1), others, 0), product / switch_(zero, 1, x));
  return restore_axes(gy, axes) * partial;
}

Variable gradient_of_extremum(const Node& node, const Variable& gy) {
  const Variable& x = node.input(0);
  const auto& axes = axes_of(node);
  if (axes.empty()) return gy;
  const Op& where = node.op().name() == "max" ? argmax_op() : argmin_op();
  const Variable first = restore_axes(apply_op(where, {x}, Attributes{{"axes", axes}}), axes);
  return switch_(eq(positions(x, axes), first), restore_axes(gy, axes), 0);
}

}  // namespace croton
