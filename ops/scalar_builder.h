#pragma once

#include <cstdint>

#include "croton/graph/dtype.h"

namespace croton {

/// The scalar operations that every backend can emit. An elementwise row's CPU column is written in them; the
/// loop IR's scalar expressions are made of them; what a target lacks (exp, tanh, …) codegen expands into
/// polynomials.
enum class ScalarOp : std::uint8_t {
  // unary, same dtype out
  neg,
  abs,
  sqrt,
  floor,
  ceil,
  trunc,
  rint /* half to even */,
  bit_not,
  sign,
  // unary transcendental (floating)
  exp,
  exp2,
  expm1,
  log,
  log2,
  log10,
  log1p,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  tanh,
  asinh,
  acosh,
  atanh,
  erf,
  erfc,
  lgamma,
  tgamma,
  digamma,
  sigmoid,
  softplus,
  // unary predicates (bool out)
  isnan,
  isinf,
  logical_not,
  // binary, same dtype out; div is true division (floating), floor_div and floor_mod follow the divisor's
  // sign
  add,
  sub,
  mul,
  div,
  floor_div,
  floor_mod,
  min,
  max /* NaN wins */,
  pow,
  atan2,
  bit_and,
  bit_or,
  bit_xor,
  shift_left,
  shift_right,
  // binary predicates (bool out)
  lt,
  le,
  gt,
  ge,
  eq,
  ne,
  // ternary: select(condition, a, b); fma(a, b, c) = a * b + c, which may be rounded once or twice
  select,
  fma,
};

/// A value in code being generated; means something only to the builder that made it.
struct ScalarValue {
  std::int32_t id = -1;
  DType dtype = DType::float32;
};

/// Where an elementwise row writes its code. Operands of binary operations have one dtype: the caller casts.
class ScalarBuilder {
 public:
  virtual ~ScalarBuilder() = default;
  virtual ScalarValue emit(ScalarOp op, ScalarValue a) = 0;
  virtual ScalarValue emit(ScalarOp op, ScalarValue a, ScalarValue b) = 0;
  virtual ScalarValue emit(ScalarOp op, ScalarValue a, ScalarValue b, ScalarValue c) = 0;
  /// A constant of that dtype (rounded to it; integers beyond 2^53 by the second form).
  virtual ScalarValue constant(double value, DType dtype) = 0;
  virtual ScalarValue integer_constant(std::int64_t value, DType dtype) = 0;
  /// C++'s conversion, except: floating to integer truncates and saturates with NaN giving 0; anything to
  /// bool is `!= 0`.
  virtual ScalarValue cast(ScalarValue value, DType dtype) = 0;
};

}  // namespace croton
