#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "croton/graph/error.h"
#include "croton/ops/blas.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

/// An extent: a number where it is known.
Operand extent_of(const Variable& x, int axis) {
  const std::int64_t known = x.type().shape[static_cast<std::size_t>(axis)];
  return known != unknown ? Operand(known) : Operand(x.shape(axis));
}

std::vector<int> checked_axes(const Variable& x, const std::vector<int>& axes) {
  std::vector<int> result;
  for (const int axis : axes) {
    if (axis < -x.rank() || axis >= x.rank()) {
      throw IndexError(fmt::format("tensordot: axis {} is outside {}", axis, describe(x)));
    }
    const int positive = axis < 0 ? axis + x.rank() : axis;
    if (std::find(result.begin(), result.end(), positive) != result.end()) {
      throw ValueError(fmt::format("tensordot: axis {} is named twice", positive));
    }
    result.push_back(positive);
  }
  return result;
}

std::vector<int> other_axes(const Variable& x, const std::vector<int>& axes) {
  std::vector<int> others;
  for (int i = 0; i < x.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) others.push_back(i);
  }
  return others;
}

std::vector<int> concatenated(std::vector<int> a, const std::vector<int>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Operand product_of_extents(const Variable& x, const std::vector<int>& axes) {
  std::int64_t known = 1;
  Variable open;
  for (const int axis : axes) {
    const std::int64_t extent = x.type().shape[static_cast<std::size_t>(axis)];
    if (extent != unknown)
      known *= extent;
    else
      open = open ? open * x.shape(axis) : x.shape(axis);
  }
  if (!open) return Operand(known);
  return known == 1 ? Operand(open) : Operand(open * known);
}

/// x with its axes in that order, as a matrix: the first `rows` axes and the rest merged.
Variable as_matrix(const Variable& x, const std::vector<int>& rows, const std::vector<int>& columns) {
  const Variable ordered = x.dimshuffle(concatenated(rows, columns));
  if (rows.size() == 1 && columns.size() == 1) return ordered;
  return reshape(ordered, SymbolicShape({product_of_extents(x, rows), product_of_extents(x, columns)}));
}

}  // namespace

Variable dot(const Operand& x, const Operand& y) {
  const LocationScope scope(x.where());
  const int x_rank = x.variable().rank(), y_rank = y.variable().rank();
  if (x_rank == 0 || y_rank == 0) return x * y;
  if (x_rank > 2 || y_rank > 2) return tensordot(x, y, {x_rank - 1}, {std::max(y_rank - 2, 0)});
  return apply_op(dot_op(), promote_operands(std::array{x, y}, false));
}

Variable tensordot(const Operand& x_operand, const Operand& y_operand, const std::vector<int>& x_axes,
                   const std::vector<int>& y_axes) {
  const LocationScope scope(x_operand.where());
  const std::vector<Variable> operands = promote_operands(std::array{x_operand, y_operand}, false);
  const Variable &x = operands[0], &y = operands[1];
  if (x_axes.size() != y_axes.size()) {
    throw ValueError(fmt::format("tensordot pairs axes: [{}] of x with [{}] of y", fmt::join(x_axes, ", "),
                                 fmt::join(y_axes, ", ")));
  }
  const std::vector<int> x_summed = checked_axes(x, x_axes), y_summed = checked_axes(y, y_axes);
  for (std::size_t i = 0; i < x_summed.size(); ++i) {
    const std::int64_t a = x.type().shape[static_cast<std::size_t>(x_summed[i])];
    const std::int64_t b = y.type().shape[static_cast<std::size_t>(y_summed[i])];
    if (a != b && a != unknown && b != unknown) {
      throw ShapeError(fmt::format("tensordot: x.shape[{}] = {}, y.shape[{}] = {}\n  x is {}\n  y is {}",
                                   x_summed[i], a, y_summed[i], b, describe(x), describe(y)));
    }
  }
  const std::vector<int> x_kept = other_axes(x, x_summed), y_kept = other_axes(y, y_summed);
  const Variable product =
      apply_op(dot_op(), {as_matrix(x, x_kept, x_summed), as_matrix(y, y_summed, y_kept)});
  if (x_kept.size() == 1 && y_kept.size() == 1) return product;
  std::vector<Operand> shape;
  for (const int axis : x_kept) shape.push_back(extent_of(x, axis));
  for (const int axis : y_kept) shape.push_back(extent_of(y, axis));
  return reshape(product, SymbolicShape(shape));
}

Variable tensordot(const Operand& x, const Operand& y, int axes) {
  const int x_rank = x.variable().rank(), y_rank = y.variable().rank();
  if (axes < 0 || axes > x_rank || axes > y_rank) {
    throw ValueError(fmt::format("tensordot over {} axes of {} and {}", axes, describe(x.variable()),
                                 describe(y.variable())));
  }
  std::vector<int> x_axes, y_axes;
  for (int i = 0; i < axes; ++i) {
    x_axes.push_back(x_rank - axes + i);
    y_axes.push_back(i);
  }
  return tensordot(x, y, x_axes, y_axes);
}

Variable outer(const Operand& x, const Operand& y) {
  const LocationScope scope(x.where());
  const std::vector<Variable> operands = promote_operands(std::array{x, y}, false);
  return apply_op(dot_op(),
                  {flatten(operands[0]).dimshuffle({0, 'x'}), flatten(operands[1]).dimshuffle({'x', 0})});
}

}  // namespace croton
