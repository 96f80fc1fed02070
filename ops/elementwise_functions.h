#pragma once

#include "croton/ops/elementwise.h"

namespace croton {

// One function for each row of the table (elementwise_table.cpp), which says what it computes; the generated
// reference lists them. Operands broadcast, C++ numbers are weak: `x * 0.5` keeps x's floating dtype.

#define CROTON_UNARY(name) \
  inline Variable name(const Operand& x) { return apply_elementwise(#name, {x}); }
#define CROTON_BINARY(name) \
  inline Variable name(const Operand& a, const Operand& b) { return apply_elementwise(#name, {a, b}); }
#define CROTON_VARIADIC(name)                                                                \
  CROTON_BINARY(name)                                                                        \
  template <class... More>                                                                   \
  Variable name(const Operand& a, const Operand& b, const Operand& c, const More&... more) { \
    return apply_elementwise(#name, {a, b, c, Operand(more, std::source_location())...});    \
  }

CROTON_VARIADIC(add)
CROTON_BINARY(sub)
CROTON_VARIADIC(mul)
CROTON_BINARY(true_div)
CROTON_BINARY(floor_div)
CROTON_BINARY(mod)
CROTON_UNARY(neg)
CROTON_UNARY(reciprocal)
CROTON_UNARY(sqr)
CROTON_UNARY(sqrt)
CROTON_UNARY(abs)
CROTON_UNARY(sgn)
CROTON_BINARY(pow)
CROTON_VARIADIC(maximum)
CROTON_VARIADIC(minimum)

CROTON_UNARY(exp)
CROTON_UNARY(exp2)
CROTON_UNARY(expm1)
CROTON_UNARY(log)
CROTON_UNARY(log2)
CROTON_UNARY(log10)
CROTON_UNARY(log1p)
CROTON_BINARY(logaddexp)

CROTON_UNARY(sin)
CROTON_UNARY(cos)
CROTON_UNARY(tan)
CROTON_UNARY(arcsin)
CROTON_UNARY(arccos)
CROTON_UNARY(arctan)
CROTON_BINARY(arctan2)
CROTON_UNARY(sinh)
CROTON_UNARY(cosh)
CROTON_UNARY(tanh)
CROTON_UNARY(arcsinh)
CROTON_UNARY(arccosh)
CROTON_UNARY(arctanh)

CROTON_UNARY(erf)
CROTON_UNARY(erfc)
CROTON_UNARY(gammaln)
CROTON_UNARY(psi)
CROTON_UNARY(sigmoid)
CROTON_UNARY(softplus)

CROTON_UNARY(floor)
CROTON_UNARY(ceil)
CROTON_UNARY(trunc)
CROTON_UNARY(round)

CROTON_BINARY(lt)
CROTON_BINARY(le)
CROTON_BINARY(gt)
CROTON_BINARY(ge)
CROTON_BINARY(eq)
CROTON_BINARY(neq)
CROTON_UNARY(isnan)
CROTON_UNARY(isinf)

CROTON_BINARY(and_)
CROTON_BINARY(or_)
CROTON_BINARY(xor_)
CROTON_UNARY(invert)
CROTON_BINARY(lshift)
CROTON_BINARY(rshift)

CROTON_BINARY(second)
CROTON_UNARY(identity)

#undef CROTON_UNARY
#undef CROTON_BINARY
#undef CROTON_VARIADIC

/// a where `condition` holds, b elsewhere; both are computed. The condition is compared with 0.
inline Variable switch_(const Operand& condition, const Operand& a, const Operand& b) {
  return apply_elementwise("switch", {condition, a, b});
}
/// x cut to [low, high]. The gradient passes where low <= x <= high.
inline Variable clip(const Operand& x, const Operand& low, const Operand& high) {
  return apply_elementwise("clip", {x, low, high});
}
/// x converted: to bool by comparison with 0; floating to integer truncates and saturates, NaN gives 0.
CROTON_API Variable cast(const Operand& x, DType dtype);

/// Zeros (ones) of x's shape, and x's dtype unless another is given.
CROTON_API Variable zeros_like(const Operand& x);
CROTON_API Variable zeros_like(const Operand& x, DType dtype);
CROTON_API Variable ones_like(const Operand& x);
CROTON_API Variable ones_like(const Operand& x, DType dtype);

// The operators. `==` and `!=` compare identity: see eq and neq. There is no power operator: see pow.

inline Variable operator+(const Operand& a, const Operand& b) { return add(a, b); }
inline Variable operator-(const Operand& a, const Operand& b) { return sub(a, b); }
inline Variable operator*(const Operand& a, const Operand& b) { return mul(a, b); }
inline Variable operator/(const Operand& a, const Operand& b) { return true_div(a, b); }
inline Variable operator%(const Operand& a, const Operand& b) { return mod(a, b); }
inline Variable operator-(const Operand& x) { return neg(x); }
inline Variable operator~(const Operand& x) { return invert(x); }
inline Variable operator&(const Operand& a, const Operand& b) { return and_(a, b); }
inline Variable operator|(const Operand& a, const Operand& b) { return or_(a, b); }
inline Variable operator^(const Operand& a, const Operand& b) { return xor_(a, b); }
inline Variable operator<<(const Operand& a, const Operand& b) { return lshift(a, b); }
inline Variable operator>>(const Operand& a, const Operand& b) { return rshift(a, b); }
inline Variable operator<(const Operand& a, const Operand& b) { return lt(a, b); }
inline Variable operator<=(const Operand& a, const Operand& b) { return le(a, b); }
inline Variable operator>(const Operand& a, const Operand& b) { return gt(a, b); }
inline Variable operator>=(const Operand& a, const Operand& b) { return ge(a, b); }

}  // namespace croton
