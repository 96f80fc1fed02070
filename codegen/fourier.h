#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "croton/ops/scalar_builder.h"

namespace croton {

/// A number in code being generated; nothing stands for zero, of which no code is made.
using Term = std::optional<ScalarValue>;

/// Sums and multiples of terms, written without what zeros and ones would cost.
class TermArithmetic {
 public:
  TermArithmetic(ScalarBuilder& builder, DType dtype) : b_(builder), dtype_(dtype) {}
  Term add(Term x, Term y);
  Term sub(Term x, Term y);
  Term neg(Term x);
  Term scale(Term x, double factor);
  ScalarValue value(Term x);

 private:
  ScalarBuilder& b_;
  DType dtype_;
};

struct ComplexTerm {
  Term re, im;
};

/// Discrete Fourier transforms of a length that is a power of two, written out as straight-line code (Cooley
/// and Tukey, 1965). Forward: X[k] = sum of x[n] exp(-2 pi i k n / N); inverse with the other sign and
/// without the factor 1 / N.
class FourierCode {
 public:
  FourierCode(ScalarBuilder& builder, DType dtype) : a_(builder, dtype) {}

  std::vector<ComplexTerm> transform(const std::vector<ComplexTerm>& x, bool is_inverse);
  /// Of N real samples the frequencies 0 … N / 2.
  std::vector<ComplexTerm> of_real(const std::vector<Term>& x);
  /// N real samples from the frequencies 0 … N / 2.
  std::vector<Term> to_real(const std::vector<ComplexTerm>& spectrum, std::int64_t samples);

 private:
  ComplexTerm add(const ComplexTerm& x, const ComplexTerm& y);
  ComplexTerm sub(const ComplexTerm& x, const ComplexTerm& y);
  ComplexTerm conjugate(const ComplexTerm& x);
  /// x * exp(-2 pi i k / n), or with the other sign.
  ComplexTerm turn(const ComplexTerm& x, std::int64_t k, std::int64_t n, bool is_inverse);

  TermArithmetic a_;
};

}  // namespace croton
