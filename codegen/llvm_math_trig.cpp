#include "croton/codegen/llvm_math_functions.h"

// Coefficients: minimax polynomials by Sollya's fpminimax (tools/polynomials.sollya makes them anew).
namespace croton {

namespace {

/// x = quarter_turns * pi / 2 + angle + tail with |angle| <= pi / 4. The parts of pi / 2 have 53 bits each;
/// the first product cancels exactly in an fma. Good for |x| < 2^40 where a float32 result is wanted, else
/// for |x| < 2^20.
struct Reduced {
  Real angle, tail;
  Whole quarter_turns;
};

Reduced reduce(Real x, MathPrecision precision) {
  const Rounded n = round_product(x, 0x1.45f306dc9c883p-1);
  const Real first = fma(n.real, -0x1.921fb54442d18p0, x);
  const Real angle = fma(n.real, -0x1.1a62633145c07p-54, first);
  Real tail = x(0.0);
  if (precision == MathPrecision::full) tail = fma(n.real, -0x1.1a62633145c07p-54, first - angle);
  return {angle, tail, n.low_bits};
}

Real sine(const Reduced& a, MathPrecision precision) {
  const Real x = a.angle, z = x * x;
  if (precision == MathPrecision::narrow) {
    const Real q = polynomial(
        z, {-0x1.5555554c6f717p-3, 0x1.11110868a69f4p-7, -0x1.a00f7dc2ed4a2p-13, 0x1.6cd19d00f108bp-19});
    return fma(x * z, q, x);
  }
  const Real q = polynomial(z, {0x1.111111111108bp-7, -0x1.a01a01a006d92p-13, 0x1.71de3a401ac6dp-19,
                                -0x1.ae643d465f38ap-26, 0x1.6114a7f5e6ca7p-33, -0x1.a55de05fe6ba1p-41});
  // sin(x + tail) = sin(x) + tail cos(x)
  const Real inner = fma(z, x * z * q - 0.5 * a.tail, a.tail);
  return x + fma(x * z, -0x1.5555555555555p-3, inner);
}

Real cosine(const Reduced& a, MathPrecision precision) {
  const Real x = a.angle, z = x * x;
  if (precision == MathPrecision::narrow) {
    const Real q = polynomial(
        z, {0x1.5555554ed7c61p-5, -0x1.6c16b82838545p-10, 0x1.a010dd97a9a41p-16, -0x1.241e5bc8c491ep-22});
    return fma(z * z, q, fma(z, -0.5, 1.0));
  }
  const Real q = polynomial(
      z, {0x1.5555555555555p-5, -0x1.6c16c16c16b4bp-10, 0x1.a01a01a002619p-16, -0x1.27e4fb61564a9p-22,
          0x1.1eed784d2ebcdp-29, -0x1.937eb13d7d26ap-37, 0x1.a26cdcffb0c77p-45});
  // What 1 - z / 2 loses in rounding is added again.
  const Real half = 0.5 * z, head = 1.0 - half;
  return head + ((1.0 - head - half) + (z * z * q - x * a.tail));
}

Real evaluate(ScalarOp op, Real x, MathPrecision precision) {
  const Reduced a = reduce(x, precision);
  const Real s = sine(a, precision), c = cosine(a, precision);
  const Flag is_crossed = is_odd(a.quarter_turns);
  if (op == ScalarOp::tan) return select(is_crossed, -c, s) / select(is_crossed, s, c);
  const Whole turns = op == ScalarOp::sin ? a.quarter_turns : a.quarter_turns + 1;
  const Real value = select(op == ScalarOp::sin ? is_crossed : !is_crossed, c, s);
  const Whole sign = (Whole{x.c, x.c->b.CreateLShr(turns.v, 1)} & 1) << 63;
  return from_bits(bits(value) ^ sign);
}

constexpr double half_pi = 0x1.921fb54442d18p0;

/// asin(s) for 0 <= s <= 1/2, given its square.
Real small_asin(Real s, Real square) {
  const Real q = polynomial(square, {0x1.555555565a9bdp-3, 0x1.333331f267aadp-4, 0x1.6db762b5093b8p-5,
                                     0x1.f1ab4338feaaep-6, 0x1.7027ec1c22119p-6, 0x1.0e116222bb30fp-6,
                                     0x1.30da3de850dc4p-6, -0x1.6ff2830c7b753p-9, 0x1.056f90a6c91fep-5});
  return fma(s * square, q, s);
}

/// atan(t) for 0 <= t <= 1.
Real small_atan(Real t) {
  const Real z = t * t;
  const Real q = polynomial(
      z, {-0x1.5555552f27b13p-2, 0x1.9999846c41b23p-3, -0x1.24903921594a5p-3, 0x1.c6e85ac3e5123p-4,
          -0x1.72d62fe77147ep-4, 0x1.33a16b51768c9p-4, -0x1.f02f94a9147bap-5, 0x1.69ea4b2a92c88p-5,
          -0x1.b2f57306959bp-6, 0x1.81f66732dc079p-7, -0x1.b4025d7ca2688p-9, 0x1.ce19a1f3b91d3p-12});
  return fma(t * z, q, t);
}

}  // namespace

Real sin_cos_tan(ScalarOp op, Real x) {
  const bool is_double = x.is_double();
  return unless(!(abs(x) > (is_double ? 0x1p20 : 0x1p40)), op, {x}, [&] {
    const Real value = is_double ? evaluate(op, x, MathPrecision::full)
                                 : narrow(evaluate(op, widen(x), MathPrecision::narrow));
    if (op == ScalarOp::cos) return value;
    return select(abs(x) < (is_double ? 0x1p-28 : 0x1p-14), x, value);  // keeps -0
  });
}

// Near 1: asin(x) = pi / 2 - 2 asin(sqrt((1 - x) / 2)).
Real asin_acos(ScalarOp op, Real single) {
  const Real x = widen(single), a = abs(x);
  const Flag is_big = a > 0.5;
  const Real square = select(is_big, (1.0 - a) * 0.5, a * a);
  const Real p = small_asin(select(is_big, sqrt(square), a), square);
  if (op == ScalarOp::asin) return narrow(copysign(select(is_big, half_pi - 2.0 * p, p), x));
  const Real near_end = select(x < 0.0, 2 * half_pi - 2.0 * p, 2.0 * p);
  return narrow(select(is_big, near_end, half_pi - copysign(p, x)));
}

Real atan(Real single) {
  const Real x = widen(single), a = abs(x);
  const Flag is_big = a > 1.0;
  const Real p = small_atan(select(is_big, 1.0 / a, a));
  return narrow(copysign(select(is_big, half_pi - p, p), x));
}

Real atan2(Real y_single, Real x_single) {
  const Real y = widen(y_single), x = widen(x_single), ay = abs(y), ax = abs(x);
  const Flag is_steep = ay > ax;
  const Real low = select(is_steep, ax, ay), high = select(is_steep, ay, ax);
  // 0 / 0 counts as 0 and inf / inf as 1.
  const Real t = select(low == high, select(high == 0.0, x(0.0), x(1.0)), low / high);
  const Real p = small_atan(t);
  const Real first = select(is_steep, half_pi - p, p);
  const Flag is_left{x.c, x.c->b.CreateICmpSLT(bits(x).v, bits(x).number(0))};
  const Real angle = copysign(select(is_left, 2 * half_pi - first, first), y);
  return narrow(select(is_nan(x) || is_nan(y), x + y, angle));
}

}  // namespace croton
