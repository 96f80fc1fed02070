#include "croton/codegen/llvm_math_functions.h"

// Coefficients: minimax polynomials by Sollya's fpminimax (tools/polynomials.sollya makes them anew).
namespace croton {

namespace {

/// erfc(a) for a >= 0: exp(-a^2) / (1 + 2 a) times a polynomial in (a - 3) / (a + 3). From 10.1 on a float32
/// has 0.
Real erfc_of_positive(Real a) {
  const Real x = at_most(a, 10.1);
  const Real t = (x - 3.0) / (x + 3.0);
  const Real q = polynomial(
      t, {0x1.40c522d7e47b7p0, -0x1.15c084bbf7416p-3, -0x1.85a15c558c7e5p-5, 0x1.098366c0a428ep-3,
          -0x1.e88b8059f87b4p-4, 0x1.17ca23af9a637p-4, -0x1.8574c917e1f9bp-6, 0x1.4b8e2dbd53b16p-9,
          0x1.ef265cdbf3bb6p-10, -0x1.9947c36339ddep-11, -0x1.be23e7b8f7676p-14, 0x1.09725678d5d0ap-13,
          0x1.24e9df17b7d5bp-17, -0x1.499805f167319p-16, -0x1.46cc43975431fp-18});
  return exp(-(x * x), MathPrecision::narrow) * q / fma(x, 2.0, 1.0);
}

}  // namespace

Real erf(Real single) {
  const Real x = widen(single), a = abs(x), z = x * x;
  const Real q = polynomial(z, {0x1.20dd750428b1fp0, -0x1.812746adb209fp-2, 0x1.ce2f20974e13ap-4,
                                -0x1.b82cb8f1e01bbp-6, 0x1.56586cda10d46p-8, -0x1.bfdf58e32961fp-11,
                                0x1.f56be67452825p-14, -0x1.d25cfa68d2703p-17, 0x1.1b8c52e5c6cf6p-20});
  return narrow(select(a < 1.0, x * q, copysign(1.0 - erfc_of_positive(a), x)));
}

Real erfc(Real single) {
  const Real x = widen(single);
  const Real right = erfc_of_positive(abs(x));
  return narrow(select(x < 0.0, 2.0 - right, right));
}

}  // namespace croton
