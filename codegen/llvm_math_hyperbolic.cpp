#include <limits>

#include "croton/codegen/llvm_math_functions.h"

namespace croton {

// With t = exp(2 |x|) - 1: tanh |x| = t / (t + 2). Large arguments are cut where the result is 1. Where t is
// small its rounding and that of t + 2 count most; there a float32 takes a minimax polynomial
// (tools/polynomials.sollya).
Real tanh(Real x) {
  const Real a = abs(x);
  const Real twice = 2.0 * at_most(a, x.is_double() ? 20 : 10);
  const ExpParts parts = exp_parts(twice, MathPrecision::full);
  const bool is_double = x.is_double();
  const Real power = from_bits((parts.power.low_bits + (is_double ? 1023 : 127)) << (is_double ? 52 : 23));
  const Real t = fma(parts.rest, power, power - 1.0);
  const Real usual = t / (t + 2.0);
  if (is_double) return copysign(usual, x);
  const Real z = x * x;
  const Real q = polynomial(z, {-0x1.55554ap-2, 0x1.110dp-3, -0x1.b92358p-5, 0x1.5918a4p-6, -0x1.9a79bap-8});
  return copysign(select(a < 0.55, fma(a * z, q, a), usual), x);
}

// With e = exp(-|x|) and q = e / (1 + e): 1 - q, or e (1 - q) below 0. Neither overflows, and the errors of q
// count little where e is small.
Real sigmoid(Real x) {
  const Real e = exp(-abs(x), MathPrecision::full);
  const Real head = select(x < 0.0, e, x(1.0));
  return fma(-head, e / (1.0 + e), head);
}

Real softplus(Real x) {
  const Real e = exp(-abs(x), MathPrecision::full);
  return select(x > 0.0, x, x(0.0)) + log1p(e, MathPrecision::full);
}

// With t = exp(|x|) - 1: sinh |x| = (t + t / (t + 1)) / 2.
Real sinh_cosh(ScalarOp op, Real single) {
  const Real x = widen(single);
  const Real t = expm1(at_most(abs(x), 100), MathPrecision::narrow);
  if (op == ScalarOp::sinh) return narrow(copysign(0.5 * (t + t / (t + 1.0)), x));
  const Real e = 1.0 + t;
  return narrow(0.5 * (e + 1.0 / e));
}

Real asinh(Real single) {
  const Real x = widen(single), a = abs(x), square = a * a;
  const Real result = log1p(a + square / (1.0 + sqrt(square + 1.0)), MathPrecision::narrow);
  return select(abs(single) == std::numeric_limits<double>::infinity(), single, narrow(copysign(result, x)));
}

Real acosh(Real single) {
  const Real d = widen(single) - 1.0;
  const Real root = select(d < 0.0, d(std::numeric_limits<double>::quiet_NaN()), sqrt(d * (d + 2.0)));
  return narrow(log1p(d + root, MathPrecision::narrow));
}

Real atanh(Real single) {
  const Real x = widen(single), a = abs(x);
  return narrow(copysign(0.5 * log1p(2.0 * a / (1.0 - a), MathPrecision::narrow), x));
}

}  // namespace croton
