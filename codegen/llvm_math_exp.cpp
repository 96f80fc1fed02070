#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IntrinsicsX86.h>

#include "croton/codegen/llvm_real.h"

// Coefficients: minimax polynomials by Sollya's fpminimax (tools/polynomials.sollya makes them anew).
// Arguments are reduced by Cody and Waite's method, with fused multiply-adds.
namespace croton {

namespace {

/// vscalefps and its kin: x * 2^n, subnormal results rounded once. Null where the target or the number of
/// lanes does not fit.
llvm::Value* scale_by_instruction(const ScalarContext& c, llvm::Value* x, llvm::Value* n) {
  if (!c.target.has_avx512) return nullptr;
  const bool is_double = x->getType()->getScalarType()->isDoubleTy();
  const unsigned lanes = lanes_of(x), native = is_double ? 8 : 16;
  const unsigned piece = std::min(lanes, native);
  Builder& b = c.b;
  const auto call = [&](llvm::Value* a, llvm::Value* power) -> llvm::Value* {
    using namespace llvm::Intrinsic;
    const unsigned bits = piece * (is_double ? 64 : 32);
    const ID id = bits == 512   ? (is_double ? x86_avx512_mask_scalef_pd_512 : x86_avx512_mask_scalef_ps_512)
                  : bits == 256 ? (is_double ? x86_avx512_mask_scalef_pd_256 : x86_avx512_mask_scalef_ps_256)
                                : (is_double ? x86_avx512_mask_scalef_pd_128 : x86_avx512_mask_scalef_ps_128);
    llvm::SmallVector<llvm::Value*, 5> arguments = {a, power, llvm::PoisonValue::get(a->getType())};
    arguments.push_back(llvm::Constant::getAllOnesValue(b.getIntNTy(std::max(piece, 8u))));
    if (bits == 512) arguments.push_back(b.getInt32(4));  // the current rounding mode
    return b.CreateIntrinsic(id, {}, arguments);
  };
  if (piece * (is_double ? 64 : 32) < 128 || lanes % piece != 0) return nullptr;
  if (lanes == piece) return call(x, n);
  llvm::SmallVector<llvm::Value*, 8> parts;
  for (unsigned first = 0; first < lanes; first += piece) {
    parts.push_back(call(take_lanes(b, x, first, piece), take_lanes(b, n, first, piece)));
  }
  return llvm::concatenateVectors(b, parts);
}

}  // namespace

Real scale(Real x, const Rounded& n) {
  if (llvm::Value* const scaled = scale_by_instruction(*x.c, x.v, n.real.v)) return {x.c, scaled};
  // Two factors, since one power of two may leave the range. The first product is exact.
  const unsigned fraction = x.is_double() ? 52 : 23;
  const std::int64_t bias = x.is_double() ? 1023 : 127;
  const Whole power = (n.low_bits << (x.is_double() ? 48 : 16)) >> (x.is_double() ? 48 : 16);
  const Whole half = power >> 1;
  return x * from_bits((half + bias) << fraction) * from_bits((power - half + bias) << fraction);
}

ExpParts exp_parts(Real x, MathPrecision precision) {
  const Rounded n = round_product(x, 0x1.71547652b82fep0);
  const bool is_double = x.is_double();
  const Real high = fma(n.real, is_double ? -0x1.62e42fefa39efp-1 : -0x1.62e43p-1, x);
  const Real low = n.real * (is_double ? -0x1.abc9e3b39803fp-56 : 0x1.05c61p-29);
  const Real r = high + low;
  Real q = r;
  if (!is_double) {
    q = polynomial(r, {0x1.fffffep-2, 0x1.5554bp-3, 0x1.555716p-5, 0x1.122792p-7, 0x1.6b734ap-10});
  } else if (precision == MathPrecision::narrow) {
    q = polynomial(r, {0x1.000000001714dp-1, 0x1.555555734f7c1p-3, 0x1.555554f379d0ap-5, 0x1.1110b22386ab9p-7,
                       0x1.6c1766be30b16p-10, 0x1.a16f60c10f5adp-13, 0x1.a003a6a096a33p-16});
  } else {
    q = polynomial(
        r, {0x1p-1, 0x1.5555555555559p-3, 0x1.555555555554dp-5, 0x1.111111110f659p-7, 0x1.6c16c16c1aaf7p-10,
            0x1.a01a01b00095cp-13, 0x1.a01a018e1147ap-16, 0x1.71ddf8195ee3cp-19, 0x1.27e513387dc59p-22,
            0x1.af5f170191f86p-26, 0x1.1f1a2f04b72bep-29});
  }
  return {high + fma(r * r, q, low), n};  // what r lost in rounding comes in here
}

Real exp(Real x, MathPrecision precision) {
  // Beyond these the result is 0 or infinity.
  const Real bounded = x.is_double() ? at_most(at_least(x, -746), 710) : at_most(at_least(x, -104), 89);
  const ExpParts parts = exp_parts(bounded, precision);
  return scale(1.0 + parts.rest, parts.power);
}

Real exp2(Real x, MathPrecision precision) {
  const bool is_double = x.is_double();
  const Real bounded = is_double ? at_most(at_least(x, -1076), 1025) : at_most(at_least(x, -151), 129);
  const Rounded n = rounded(bounded, bounded + (is_double ? 0x1.8p52 : 0x1.8p23));
  const Real r = bounded - n.real;
  Real q = r;
  if (!is_double) {
    q = polynomial(
        r, {0x1.62e43p-1, 0x1.ebfbdep-3, 0x1.c6af9ep-5, 0x1.3b2c58p-7, 0x1.5ef4a2p-10, 0x1.427918p-13});
  } else if (precision == MathPrecision::narrow) {
    q = polynomial(
        r, {0x1.62e42fef89d1fp-1, 0x1.ebfbdff8ede83p-3, 0x1.c6b08dced33e3p-5, 0x1.3b2ab5ed6fdfp-7,
            0x1.5d874d07141f8p-10, 0x1.430aa882a3b6ep-13, 0x1.00d8533617c35p-16, 0x1.61c4f0e5d3034p-20});
  } else {
    q = polynomial(
        r, {0x1.62e42fefa39efp-1, 0x1.ebfbdff82c58dp-3, 0x1.c6b08d704a182p-5, 0x1.3b2ab6fba53b8p-7,
            0x1.5d87fe7888dffp-10, 0x1.430912f7013a2p-13, 0x1.ffcbfcdb1c5bdp-17, 0x1.62c027b683ceap-20,
            0x1.b524232262994p-24, 0x1.e4bbc00d37bp-28, 0x1.eafdc2f6d54aap-32, 0x1.de49d600a7dc3p-36});
  }
  return scale(fma(r, q, 1.0), n);
}

// (1 + rest) 2^n - 1 = rest 2^n + (2^n - 1), with half the power, which stays in the range.
Real expm1(Real x, MathPrecision precision) {
  const bool is_double = x.is_double();
  const Real bounded = is_double ? at_most(at_least(x, -40), 710) : at_most(at_least(x, -18), 89);
  const ExpParts parts = exp_parts(bounded, precision);
  const Real half = from_bits((parts.power.low_bits + (is_double ? 1022 : 126)) << (is_double ? 52 : 23));
  const Real result = 2.0 * fma(parts.rest, half, half - 0.5);
  // Also keeps -0 and subnormal numbers.
  return select(abs(x) < 0x1p-60, x, result);
}

}  // namespace croton
