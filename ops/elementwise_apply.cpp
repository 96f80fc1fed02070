#include <fmt/format.h>

#include <limits>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"

namespace croton {

namespace {

/// The least and the largest value of an integer dtype.
struct Range {
  std::int64_t low;
  std::uint64_t high;
};

Range range_of(DType dtype) {
  const int bits = 8 * static_cast<int>(size_of(dtype));
  if (is_unsigned_integer(dtype)) return {0, ~std::uint64_t{0} >> (64 - bits)};
  return {std::numeric_limits<std::int64_t>::min() >> (64 - bits), ~std::uint64_t{0} >> (65 - bits)};
}

bool fits(std::int64_t value, DType dtype) {
  const Range range = range_of(dtype);
  return value < 0 ? value >= range.low : static_cast<std::uint64_t>(value) <= range.high;
}

DType weak_dtype(const Operand& literal) {
  const DType dtype = literal.variable().dtype();
  return is_floating(dtype) ? float_x() : dtype;
}

/// The literal as a constant of `dtype` and `rank`.
Variable literal_constant(const Operand& literal, DType dtype, std::size_t rank) {
  const Tensor& value = literal.variable().constant_value();
  if (is_integer(dtype) && value.dtype() == DType::int64) {
    const auto number = value.item<std::int64_t>();
    if (!fits(number, dtype)) {
      const Range range = range_of(dtype);
      throw ValueError(
          fmt::format("the literal {} at {} does not fit {} ({} to {}): cast the other operand to a wider "
                      "dtype, or the literal with constant(Tensor(…))",
                      number, to_string(literal.where()), name_of(dtype), range.low, range.high));
    }
  }
  return constant(value.astype(dtype).reshape(Shape::filled(rank, 1)), literal.where());
}

/// The dtype that the row wants its (like) operands in.
DType argument_dtype(const ElementwiseRow& row, std::span<const Operand> operands) {
  DType dtype = promoted_dtype(operands);
  switch (row.rule) {
    case DTypeRule::floating:
      return is_discrete(dtype) ? float_x() : dtype;
    case DTypeRule::number:
    case DTypeRule::shift:
      return is_bool(dtype) ? DType::int8 : dtype;
    case DTypeRule::predicate:
      // A comparison has an answer for literals that the other's dtype cannot hold.
      for (const Operand& operand : operands) {
        if (!operand.is_weak()) continue;
        const DType literal = operand.variable().dtype();
        if (literal == DType::int64 && is_integer(dtype) &&
            !fits(operand.variable().constant_value().item<std::int64_t>(), dtype)) {
          dtype = promote(dtype, DType::int64);
        }
      }
      return dtype;
    default:
      return dtype;
  }
}

Variable pad_left(const Variable& x, std::size_t rank) {
  const auto own = static_cast<std::size_t>(x.rank());
  if (own == rank) return x;
  if (own == 0 && x.is_constant()) {
    return constant(x.constant_value().reshape(Shape::filled(rank, 1)), x.node()->where());
  }
  std::vector<int> pattern(rank - own, 'x');
  for (std::size_t i = 0; i < own; ++i) pattern.push_back(static_cast<int>(i));
  return x.dimshuffle(pattern);
}

std::size_t common_rank(std::span<const Operand> operands) {
  int rank = 0;
  for (const Operand& operand : operands) {
    if (!operand.variable()) throw TypeError("an empty Variable was used as an operand");
    rank = std::max(rank, operand.variable().rank());
  }
  return static_cast<std::size_t>(rank);
}

Variable convert(const Operand& operand, DType dtype, std::size_t rank) {
  if (operand.is_weak()) return literal_constant(operand, dtype, rank);
  return pad_left(as_dtype(operand, dtype), rank);
}

SourceLocation location_of(std::span<const Operand> operands) {
  for (const Operand& operand : operands) {
    if (operand.where().known()) return operand.where();
  }
  return {};
}

}  // namespace

DType promoted_dtype(std::span<const Operand> operands) {
  std::optional<DType> strong;
  std::optional<DType> weak;
  for (const Operand& operand : operands) {
    std::optional<DType>& kind = operand.is_weak() ? weak : strong;
    const DType dtype = operand.is_weak() ? weak_dtype(operand) : operand.variable().dtype();
    kind = kind ? promote(*kind, dtype) : dtype;
  }
  if (!strong) return *weak;
  if (!weak) return *strong;
  if (is_floating(*weak) && is_discrete(*strong)) return float_x();
  if (is_integer(*weak) && is_bool(*strong)) return *weak;
  return *strong;
}

Variable as_dtype(const Operand& operand, DType dtype) {
  if (operand.is_weak()) return literal_constant(operand, dtype, 0);
  return operand.variable().dtype() == dtype ? operand.variable() : cast(operand, dtype);
}

Variable as_variable(const Operand& operand) {
  return operand.is_weak() ? as_dtype(operand, weak_dtype(operand)) : operand.variable();
}

std::vector<Variable> promote_operands(std::span<const Operand> operands, bool floating) {
  const LocationScope scope(location_of(operands));
  DType dtype = promoted_dtype(operands);
  if (floating && is_discrete(dtype)) dtype = float_x();
  std::vector<Variable> result;
  for (const Operand& operand : operands) result.push_back(as_dtype(operand, dtype));
  return result;
}

Variable apply_elementwise(const ElementwiseOp& op, std::span<const Operand> operands) {
  const LocationScope scope(location_of(operands));
  const std::size_t rank = common_rank(operands);
  const ElementwiseRow& row = op.row();
  std::vector<Variable> inputs;
  inputs.reserve(operands.size());
  std::span<const Operand> alike = operands;
  if (row.rule == DTypeRule::select) {
    inputs.push_back(convert(operands[0], DType::bool_, rank));
    alike = operands.subspan(1);
  }
  if (row.rule == DTypeRule::second) {
    for (const Operand& operand : operands) {
      const DType dtype = operand.is_weak() ? promoted_dtype(operands) : operand.variable().dtype();
      inputs.push_back(convert(operand, dtype, rank));
    }
  } else {
    const DType dtype = argument_dtype(row, alike);
    for (const Operand& operand : alike) inputs.push_back(convert(operand, dtype, rank));
  }
  return apply_op(op, std::move(inputs));
}

Variable apply_elementwise(std::string_view name, std::initializer_list<Operand> operands) {
  return apply_elementwise(*find_elementwise(name), std::span(operands.begin(), operands.size()));
}

Variable cast(const Operand& x, DType dtype) {
  const LocationScope scope(x.where());
  if (x.is_weak()) return as_dtype(x, dtype);
  return apply_op(*find_elementwise("cast"), {x.variable()}, Attributes{{"dtype", dtype}});
}

Variable Variable::astype(DType dtype, std::source_location where) const {
  return as_dtype(Operand(*this, where), dtype);
}

namespace {

Variable filled_like(const Operand& x, double value, std::optional<DType> dtype) {
  const LocationScope scope(x.where());
  const Variable model = as_variable(x);
  const DType to = dtype.value_or(model.dtype());
  const Tensor element = Tensor(value).astype(to).reshape(Shape::filled(model.type().shape.size(), 1));
  return second(model, Operand(constant(element)));
}

}  // namespace

Variable zeros_like(const Operand& x) { return filled_like(x, 0, {}); }
Variable zeros_like(const Operand& x, DType dtype) { return filled_like(x, 0, dtype); }
Variable ones_like(const Operand& x) { return filled_like(x, 1, {}); }
Variable ones_like(const Operand& x, DType dtype) { return filled_like(x, 1, dtype); }

}  // namespace croton
