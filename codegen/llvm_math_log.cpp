#include <limits>

#include "croton/codegen/llvm_real.h"

// Coefficients: minimax polynomials by Sollya's fpminimax (tools/polynomials.sollya makes them anew).
namespace croton {

namespace {

/// Where the numbers of a format lie in its bits.
struct FloatFormat {
  unsigned fraction;
  std::int64_t bias;
  std::int64_t middle;  ///< the bits of sqrt(1/2), rounded
};

FloatFormat format_of(Real x) {
  return x.is_double() ? FloatFormat{52, 1023, 0x3fe6a09e667f3bcd} : FloatFormat{23, 127, 0x3f3504f3};
}

/// x = significand * 2^exponent with the significand in [sqrt(1/2), sqrt(2)). x positive, finite, not
/// subnormal.
struct Split {
  Real significand;
  Whole exponent;
};

Split split(Real x) {
  const FloatFormat l = format_of(x);
  const Whole offset = bits(x) - l.middle;
  const Whole exponent = offset >> l.fraction;
  return {from_bits(bits(x) - (exponent << l.fraction)), exponent};
}

/// exponent * log(2) + log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
Real log_of_parts(Real f, Real exponent, MathPrecision precision) {
  if (!f.is_double()) {
    const Real q = polynomial(f, {0x1.55552ep-2, -0x1.000216p-2, 0x1.99b034p-3, -0x1.548186p-3, 0x1.21cd2cp-3,
                                  -0x1.0c0eb4p-3, 0x1.0ae6ep-3, -0x1.4c628cp-4});
    const Real log1pf = fma(f * f, fma(f, q, -0.5), f);
    return fma(exponent, 0x1.62e43p-1, log1pf);
  }
  // log(1 + f) = 2 atanh(s) with s = f / (2 + f), arranged as f - s (f - z q(z)) so that f, which is exact,
  // carries most of it.
  const Real s = f / (2.0 + f);
  const Real z = s * s;
  if (precision == MathPrecision::narrow) {
    const Real q = polynomial(z, {0x1.555555561f009p-1, 0x1.999996a6c6e84p-2, 0x1.2494132dee43p-2,
                                  0x1.c62a9c274a3f5p-3, 0x1.911d2d5629034p-3});
    return fma(exponent, 0x1.62e42fefa39efp-1, f - s * (f - z * q));
  }
  const Real q =
      polynomial(z, {0x1.5555555555593p-1, 0x1.999999997fa39p-2, 0x1.2492494224e8ap-2, 0x1.c71c51dcf7784p-3,
                     0x1.74664887e9802p-3, 0x1.39a0b4d8dc91ep-3, 0x1.2f103aed59c0bp-3});
  const Real half_square = 0.5 * f * f;
  const Real low = fma(s, half_square + z * q, exponent * 0x1.abc9e3b39803fp-56);
  return fma(exponent, 0x1.62e42fefa39efp-1, f - (half_square - low));
}

/// The result where x is positive and finite; otherwise -inf at 0, NaN below, x itself at infinity and NaN.
Real with_specials(Real x, Real result) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real beyond = select(x < 0.0, x(std::numeric_limits<double>::quiet_NaN()), x);
  const Real special = select(x == 0.0, x(-infinity), beyond);
  return select(x > 0.0 && x < infinity, result, special);
}

}  // namespace

Real log(Real x, MathPrecision precision) {
  const bool is_double = x.is_double();
  const unsigned shift = is_double ? 54 : 25;
  const Flag is_subnormal = x < (is_double ? 0x1p-1022 : 0x1p-126);
  const Split parts = split(select(is_subnormal, x * (is_double ? 0x1p54 : 0x1p25), x));
  const Real exponent = to_real(parts.exponent);
  const Real shifted = select(is_subnormal, exponent - static_cast<double>(shift), exponent);
  return with_specials(x, log_of_parts(parts.significand - 1.0, shifted, precision));
}

// With 1 + x = m 2^e, m - 1 is x 2^-e + (2^-e - 1), which an fma rounds once: nothing of x is lost. (Beyond
// 2^20 the 1 does not matter, and 2^-e may leave the range.)
Real log1p(Real x, MathPrecision precision) {
  const FloatFormat l = format_of(x);
  const Split parts = split(1.0 + x);
  const Real power = from_bits(
      (Whole{x.c, llvm::ConstantInt::get(parts.exponent.v->getType(), static_cast<std::uint64_t>(l.bias))} -
       parts.exponent)
      << l.fraction);
  const Real f = select(parts.exponent > 20, parts.significand - 1.0, fma(x, power, power - 1.0));
  const Real usual = log_of_parts(f, to_real(parts.exponent), precision);
  const Real result = select(abs(x) < 0x1p-60, x, usual);  // keeps -0
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real beyond = select(x < -1.0, x(std::numeric_limits<double>::quiet_NaN()), x);
  return select(x > -1.0 && x < infinity, result, select(x == -1.0, x(-infinity), beyond));
}

Real log2_of_positive(Real x) {
  const Split parts = split(x);
  const Real log_of_significand = log_of_parts(parts.significand - 1.0, x(0.0), MathPrecision::narrow);
  return fma(log_of_significand, 0x1.71547652b82fep0, to_real(parts.exponent));
}

Real log2(Real x) { return with_specials(x, log2_of_positive(x)); }

}  // namespace croton
