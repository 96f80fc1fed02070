#include <cmath>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/reduce.h"

namespace croton {

namespace {

Variable finish(const Variable& reduced, const std::vector<std::int64_t>& axes, bool keepdims) {
  return keepdims ? restore_axes(reduced, axes) : reduced;
}

Variable reduce_by(std::string_view name, const Operand& x, const Axes& axes, bool keepdims) {
  const LocationScope scope(x.where());
  const Variable v = as_variable(x);
  const auto list = normalize_axes(axes, v.rank());
  return finish(reduce(*find_reduce(name), v, list), list, keepdims);
}

Variable argument_of(const Op& op, const Operand& x, const Axes& axes, bool keepdims) {
  const LocationScope scope(x.where());
  const Variable v = as_variable(x);
  const auto list = normalize_axes(axes, v.rank());
  return finish(apply_op(op, {v}, Attributes{{"axes", list}}), list, keepdims);
}

bool is_16_bit(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

/// total / (the number of elements reduced - ddof).
Variable over_count(const Variable& total, const Variable& x, const std::vector<std::int64_t>& axes,
                    int ddof) {
  std::int64_t known = 1;
  Variable count;
  for (const std::int64_t axis : axes) {
    const std::int64_t extent = x.type().shape[static_cast<std::size_t>(axis)];
    if (extent != unknown) {
      known *= extent;
    } else {
      const Variable open = x.shape(static_cast<int>(axis));
      count = count ? count * open : open;
    }
  }
  const Variable dividend = is_discrete(total.dtype()) ? cast(total, float_x()) : total;
  if (!count) return dividend / static_cast<double>(known - ddof);
  if (known != 1) count = count * known;
  return dividend / (ddof == 0 ? count : count - ddof);
}

/// What mean and var compute in.
Variable as_mean_argument(const Variable& x) { return is_16_bit(x.dtype()) ? cast(x, DType::float32) : x; }

}  // namespace

Variable reduce(const ReduceOp& op, const Variable& x, std::vector<std::int64_t> axes, SourceLocation where) {
  const LocationScope scope(where);
  if (axes.empty()) return as_dtype(x, op.row().result(x.dtype()));
  return apply_op(op, {x}, Attributes{{"axes", std::move(axes)}});
}

Variable restore_axes(const Variable& reduced, std::span<const std::int64_t> axes) {
  if (axes.empty()) return reduced;
  std::vector<int> pattern;
  int next = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(reduced.rank()) + axes.size(); ++i) {
    const bool was_reduced = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) != axes.end();
    pattern.push_back(was_reduced ? 'x' : next++);
  }
  return reduced.dimshuffle(pattern);
}

Variable sum(const Operand& x, const Axes& axes, bool keepdims) {
  return reduce_by("sum", x, axes, keepdims);
}
Variable prod(const Operand& x, const Axes& axes, bool keepdims) {
  return reduce_by("prod", x, axes, keepdims);
}
Variable max(const Operand& x, const Axes& axes, bool keepdims) {
  return reduce_by("max", x, axes, keepdims);
}
Variable min(const Operand& x, const Axes& axes, bool keepdims) {
  return reduce_by("min", x, axes, keepdims);
}
Variable any(const Operand& x, const Axes& axes, bool keepdims) {
  return reduce_by("any", x, axes, keepdims);
}
Variable AllType::operator()(const Operand& x, const Axes& axes, bool keepdims) const {
  return reduce_by("all", x, axes, keepdims);
}
Variable argmax(const Operand& x, const Axes& axes, bool keepdims) {
  return argument_of(argmax_op(), x, axes, keepdims);
}
Variable argmin(const Operand& x, const Axes& axes, bool keepdims) {
  return argument_of(argmin_op(), x, axes, keepdims);
}

Variable mean(const Operand& x, const Axes& axes, bool keepdims) {
  const LocationScope scope(x.where());
  const Variable given = as_variable(x);
  const Variable v = as_mean_argument(given);
  const auto list = normalize_axes(axes, v.rank());
  const Variable result =
      finish(over_count(reduce(*find_reduce("sum"), v, list), v, list, 0), list, keepdims);
  return is_16_bit(given.dtype()) ? cast(result, given.dtype()) : result;
}

Variable var(const Operand& x, const Axes& axes, int ddof, bool keepdims) {
  const LocationScope scope(x.where());
  const Variable given = as_variable(x);
  const Variable v = as_mean_argument(given);
  const auto list = normalize_axes(axes, v.rank());
  const Variable squares = sqr(v - mean(v, axes, true));
  const Variable result =
      finish(over_count(reduce(*find_reduce("sum"), squares, list), v, list, ddof), list, keepdims);
  return is_16_bit(given.dtype()) ? cast(result, given.dtype()) : result;
}

Variable std_dev(const Operand& x, const Axes& axes, int ddof, bool keepdims) {
  const LocationScope scope(x.where());
  return sqrt(var(x, axes, ddof, keepdims));
}

Variable ptp(const Operand& x, const Axes& axes, bool keepdims) {
  const LocationScope scope(x.where());
  return max(x, axes, keepdims) - min(x, axes, keepdims);
}

Variable norm(const Operand& x, double order, const Axes& axes, bool keepdims) {
  const LocationScope scope(x.where());
  Variable v = as_variable(x);
  if (is_discrete(v.dtype())) v = cast(v, float_x());
  if (std::isnan(order)) throw ValueError("norm of order NaN");
  if (order == 0) return cast(sum(neq(v, 0), axes, keepdims), v.dtype());
  if (order == 1) return sum(abs(v), axes, keepdims);
  if (order == 2) return sqrt(sum(sqr(v), axes, keepdims));
  if (std::isinf(order)) return order > 0 ? max(abs(v), axes, keepdims) : min(abs(v), axes, keepdims);
  return pow(sum(pow(abs(v), order), axes, keepdims), 1 / order);
}

Variable Variable::sum(const Axes& axes, bool keepdims, std::source_location where) const {
  return croton::sum(Operand(*this, where), axes, keepdims);
}
Variable Variable::mean(const Axes& axes, bool keepdims, std::source_location where) const {
  return croton::mean(Operand(*this, where), axes, keepdims);
}
Variable Variable::max(const Axes& axes, bool keepdims, std::source_location where) const {
  return croton::max(Operand(*this, where), axes, keepdims);
}
Variable Variable::min(const Axes& axes, bool keepdims, std::source_location where) const {
  return croton::min(Operand(*this, where), axes, keepdims);
}

}  // namespace croton
