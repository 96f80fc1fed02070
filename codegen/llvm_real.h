#pragma once

#include <initializer_list>

#include "croton/codegen/llvm_scalar.h"

/// Formulas over vectors of float32 or float64, written with operators; each emits an instruction or two for
/// all lanes.
namespace croton {

struct Real {
  const ScalarContext* c = nullptr;
  llvm::Value* v = nullptr;

  bool is_double() const { return v->getType()->getScalarType()->isDoubleTy(); }
  /// The same number in all lanes.
  Real operator()(double number) const { return {c, llvm::ConstantFP::get(v->getType(), number)}; }
};

/// Integers as wide as the reals beside them.
struct Whole {
  const ScalarContext* c = nullptr;
  llvm::Value* v = nullptr;
  llvm::Value* number(std::int64_t n) const {
    return llvm::ConstantInt::get(v->getType(), static_cast<std::uint64_t>(n), true);
  }
};

struct Flag {
  const ScalarContext* c = nullptr;
  llvm::Value* v = nullptr;
};

inline Real operator+(Real a, Real b) { return {a.c, a.c->b.CreateFAdd(a.v, b.v)}; }
inline Real operator-(Real a, Real b) { return {a.c, a.c->b.CreateFSub(a.v, b.v)}; }
inline Real operator*(Real a, Real b) { return {a.c, a.c->b.CreateFMul(a.v, b.v)}; }
inline Real operator/(Real a, Real b) { return {a.c, a.c->b.CreateFDiv(a.v, b.v)}; }
inline Real operator-(Real a) { return {a.c, a.c->b.CreateFNeg(a.v)}; }
inline Real operator+(Real a, double b) { return a + a(b); }
inline Real operator-(Real a, double b) { return a - a(b); }
inline Real operator*(Real a, double b) { return a * a(b); }
inline Real operator+(double a, Real b) { return b(a) + b; }
inline Real operator-(double a, Real b) { return b(a) - b; }
inline Real operator*(double a, Real b) { return b(a) * b; }
inline Real operator/(double a, Real b) { return b(a) / b; }

inline Flag operator<(Real a, Real b) { return {a.c, a.c->b.CreateFCmpOLT(a.v, b.v)}; }
inline Flag operator>(Real a, Real b) { return {a.c, a.c->b.CreateFCmpOGT(a.v, b.v)}; }
inline Flag operator==(Real a, Real b) { return {a.c, a.c->b.CreateFCmpOEQ(a.v, b.v)}; }
inline Flag operator<(Real a, double b) { return a < a(b); }
inline Flag operator>(Real a, double b) { return a > a(b); }
inline Flag operator==(Real a, double b) { return a == a(b); }
inline Flag is_nan(Real a) { return {a.c, a.c->b.CreateFCmpUNO(a.v, a.v)}; }
inline Flag operator&&(Flag a, Flag b) { return {a.c, a.c->b.CreateAnd(a.v, b.v)}; }
inline Flag operator||(Flag a, Flag b) { return {a.c, a.c->b.CreateOr(a.v, b.v)}; }
inline Flag operator!(Flag a) { return {a.c, a.c->b.CreateNot(a.v)}; }
inline Flag operator!=(Flag a, Flag b) { return {a.c, a.c->b.CreateXor(a.v, b.v)}; }

inline Whole operator+(Whole a, Whole b) { return {a.c, a.c->b.CreateAdd(a.v, b.v)}; }
inline Whole operator-(Whole a, Whole b) { return {a.c, a.c->b.CreateSub(a.v, b.v)}; }
inline Whole operator+(Whole a, std::int64_t b) { return {a.c, a.c->b.CreateAdd(a.v, a.number(b))}; }
inline Whole operator-(Whole a, std::int64_t b) { return {a.c, a.c->b.CreateSub(a.v, a.number(b))}; }
inline Whole operator&(Whole a, std::int64_t b) { return {a.c, a.c->b.CreateAnd(a.v, a.number(b))}; }
inline Whole operator^(Whole a, Whole b) { return {a.c, a.c->b.CreateXor(a.v, b.v)}; }
inline Whole operator<<(Whole a, unsigned b) { return {a.c, a.c->b.CreateShl(a.v, b)}; }
/// Copies of the sign come in at the top.
inline Whole operator>>(Whole a, unsigned b) { return {a.c, a.c->b.CreateAShr(a.v, b)}; }
inline Flag operator>(Whole a, std::int64_t b) { return {a.c, a.c->b.CreateICmpSGT(a.v, a.number(b))}; }
inline Flag is_odd(Whole a) { return {a.c, a.c->b.CreateTrunc(a.v, like(a.c->b.getInt1Ty(), a.v))}; }

inline Real select(Flag f, Real a, Real b) { return {a.c, a.c->b.CreateSelect(f.v, a.v, b.v)}; }
inline Whole select(Flag f, Whole a, Whole b) { return {a.c, a.c->b.CreateSelect(f.v, a.v, b.v)}; }
inline Real fma(Real a, Real b, Real d) { return {a.c, emit_fma(*a.c, a.v, b.v, d.v)}; }
inline Real fma(Real a, double b, Real d) { return fma(a, a(b), d); }
inline Real fma(Real a, Real b, double d) { return fma(a, b, a(d)); }
inline Real fma(Real a, double b, double d) { return fma(a, a(b), a(d)); }
inline Real abs(Real a) { return {a.c, intrinsic(a.c->b, llvm::Intrinsic::fabs, {a.v})}; }
inline Real sqrt(Real a) { return {a.c, intrinsic(a.c->b, llvm::Intrinsic::sqrt, {a.v})}; }
inline Real copysign(Real a, Real sign) {
  return {a.c, intrinsic(a.c->b, llvm::Intrinsic::copysign, {a.v, sign.v})};
}
/// One instruction each; a NaN in x stays.
inline Real at_least(Real x, double low) { return select(x(low) > x, x(low), x); }
inline Real at_most(Real x, double high) { return select(x(high) < x, x(high), x); }

/// The same bits as an integer, and back.
inline Whole bits(Real a) {
  llvm::Type* const word = a.is_double() ? a.c->b.getInt64Ty() : a.c->b.getInt32Ty();
  return {a.c, a.c->b.CreateBitCast(a.v, like(word, a.v))};
}
inline Real from_bits(Whole a) {
  llvm::Type* const real =
      a.v->getType()->getScalarSizeInBits() == 64 ? a.c->b.getDoubleTy() : a.c->b.getFloatTy();
  return {a.c, a.c->b.CreateBitCast(a.v, like(real, a.v))};
}
/// An integer as a real, rounded.
inline Real to_real(Whole a) {
  llvm::Type* const real =
      a.v->getType()->getScalarSizeInBits() == 64 ? a.c->b.getDoubleTy() : a.c->b.getFloatTy();
  return {a.c, a.c->b.CreateSIToFP(a.v, like(real, a.v))};
}

/// x to the nearest integer, as a real and in the low bits of an integer whose other bits are rubbish. |x| <
/// 2^22 (float32) or 2^51.
struct Rounded {
  Real real;
  Whole low_bits;
};
inline Rounded rounded(Real x, Real magic_sum) {
  const double magic = x.is_double() ? 0x1.8p52 : 0x1.8p23;
  return {magic_sum - magic, bits(magic_sum)};
}
/// The nearest integer to x * factor.
inline Rounded round_product(Real x, double factor) {
  return rounded(x, fma(x, factor, x.is_double() ? 0x1.8p52 : 0x1.8p23));
}

/// c[0] + c[1] x + c[2] x^2 + …
inline Real polynomial(Real x, std::initializer_list<double> coefficients) {
  const double* at = coefficients.end();
  Real sum = x(*--at);
  while (at != coefficients.begin()) sum = fma(sum, x, *--at);
  return sum;
}

/// x * 2^n, rounded once; |n| < 2000. `n` also comes as low bits of an integer.
Real scale(Real x, const Rounded& n);

/// How exact an evaluation in float64 must be: enough for a float32 result, or fully.
enum class MathPrecision { narrow, full };

/// exp(x) = (1 + rest) * 2^power; x finite and moderate. In float32 the precision says nothing.
struct ExpParts {
  Real rest;
  Rounded power;
};
ExpParts exp_parts(Real x, MathPrecision precision);
Real exp(Real x, MathPrecision precision);
Real expm1(Real x, MathPrecision precision);
/// Of any number: NaN below the domain, -inf at its end, inf at inf.
Real log(Real x, MathPrecision precision);
Real log1p(Real x, MathPrecision precision);
/// Of float64 numbers that came from float32 (none is subnormal), good enough for float32.
Real log2(Real x);
/// The same for positive finite numbers only.
Real log2_of_positive(Real x);
Real exp2(Real x, MathPrecision precision);

/// float32 to float64 and back.
inline Real widen(Real a) { return {a.c, a.c->b.CreateFPExt(a.v, like(a.c->b.getDoubleTy(), a.v))}; }
inline Real narrow(Real a) { return {a.c, a.c->b.CreateFPTrunc(a.v, like(a.c->b.getFloatTy(), a.v))}; }

}  // namespace croton
