#pragma once

#include <array>
#include <span>

#include "croton/ops/scalar_builder.h"

/// The CPU columns of the elementwise table that take more than one operation of the builder.
namespace croton::lowering {

using Values = std::span<const ScalarValue>;

template <ScalarOp op>
ScalarValue unary(ScalarBuilder& b, Values in, DType) {
  return b.emit(op, in[0]);
}
template <ScalarOp op>
ScalarValue binary(ScalarBuilder& b, Values in, DType) {
  return b.emit(op, in[0], in[1]);
}
/// `logical` takes the place of `op` between bools.
template <ScalarOp op, ScalarOp logical>
ScalarValue binary_or_logical(ScalarBuilder& b, Values in, DType out) {
  return b.emit(is_bool(out) ? logical : op, in[0], in[1]);
}
/// Integers and bools stay what they are.
template <ScalarOp op>
ScalarValue unary_floating(ScalarBuilder& b, Values in, DType out) {
  return is_floating(out) ? b.emit(op, in[0]) : in[0];
}
/// Bools compare as numbers.
template <ScalarOp op>
ScalarValue comparison(ScalarBuilder& b, Values in, DType) {
  if (!is_bool(in[0].dtype)) return b.emit(op, in[0], in[1]);
  return b.emit(op, b.cast(in[0], DType::uint8), b.cast(in[1], DType::uint8));
}
/// False for what has neither NaN nor infinity.
template <ScalarOp op>
ScalarValue floating_predicate(ScalarBuilder& b, Values in, DType) {
  return is_floating(in[0].dtype) ? b.emit(op, in[0]) : b.constant(0, DType::bool_);
}
inline ScalarValue invert(ScalarBuilder& b, Values in, DType out) {
  return b.emit(is_bool(out) ? ScalarOp::logical_not : ScalarOp::bit_not, in[0]);
}
inline ScalarValue square(ScalarBuilder& b, Values in, DType out) {
  return is_bool(out) ? in[0] : b.emit(ScalarOp::mul, in[0], in[0]);
}
inline ScalarValue reciprocal(ScalarBuilder& b, Values in, DType out) {
  return b.emit(ScalarOp::div, b.constant(1, out), in[0]);
}
inline ScalarValue absolute(ScalarBuilder& b, Values in, DType out) {
  return is_bool(out) || is_unsigned_integer(out) ? in[0] : b.emit(ScalarOp::abs, in[0]);
}
inline ScalarValue sign(ScalarBuilder& b, Values in, DType out) {
  if (is_bool(out)) return in[0];
  if (!is_unsigned_integer(out)) return b.emit(ScalarOp::sign, in[0]);
  return b.emit(ScalarOp::min, in[0], b.integer_constant(1, out));
}
inline ScalarValue select(ScalarBuilder& b, Values in, DType) {
  return b.emit(ScalarOp::select, in[0], in[1], in[2]);
}
/// The lower bound is asked first, as the reference does.
inline ScalarValue clip(ScalarBuilder& b, Values in, DType out) {
  const std::array<ScalarValue, 2> below{in[0], in[1]}, above{in[0], in[2]};
  const ScalarValue cut = b.emit(ScalarOp::select, comparison<ScalarOp::gt>(b, above, out), in[2], in[0]);
  return b.emit(ScalarOp::select, comparison<ScalarOp::lt>(b, below, out), in[1], cut);
}
/// Targets leave shifts by the width and more undefined: those are selected away.
template <ScalarOp op>
ScalarValue shift(ScalarBuilder& b, Values in, DType out) {
  const std::int64_t width = 8 * static_cast<std::int64_t>(size_of(out));
  const ScalarValue zero = b.integer_constant(0, out);
  ScalarValue fits = b.emit(ScalarOp::lt, in[1], b.integer_constant(width, out));
  if (is_signed_integer(out)) fits = b.emit(ScalarOp::bit_and, fits, b.emit(ScalarOp::ge, in[1], zero));
  const ScalarValue amount = b.emit(ScalarOp::select, fits, in[1], zero);
  ScalarValue emptied = zero;
  if (op == ScalarOp::shift_right && is_signed_integer(out)) {
    emptied = b.emit(ScalarOp::shift_right, in[0], b.integer_constant(width - 1, out));
  }
  return b.emit(ScalarOp::select, fits, b.emit(op, in[0], amount), emptied);
}
/// max + log1p(exp(-|a - b|)); equal operands apart, so that infinities do not meet.
inline ScalarValue logaddexp(ScalarBuilder& b, Values in, DType out) {
  const ScalarValue distance = b.emit(ScalarOp::abs, b.emit(ScalarOp::sub, in[0], in[1]));
  const ScalarValue small = b.emit(ScalarOp::log1p, b.emit(ScalarOp::exp, b.emit(ScalarOp::neg, distance)));
  const ScalarValue sum = b.emit(ScalarOp::add, b.emit(ScalarOp::max, in[0], in[1]), small);
  const ScalarValue twice = b.emit(ScalarOp::add, in[0], b.constant(0.69314718055994530942, out));
  return b.emit(ScalarOp::select, b.emit(ScalarOp::eq, in[0], in[1]), twice, sum);
}
inline ScalarValue convert(ScalarBuilder& b, Values in, DType out) { return b.cast(in[0], out); }
inline ScalarValue first(ScalarBuilder&, Values in, DType) { return in[0]; }
inline ScalarValue last(ScalarBuilder&, Values in, DType) { return in.back(); }

}  // namespace croton::lowering
