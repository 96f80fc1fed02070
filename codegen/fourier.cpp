#include "croton/codegen/fourier.h"

#include <cmath>
#include <numbers>

namespace croton {

Term TermArithmetic::add(Term x, Term y) {
  if (!x) return y;
  if (!y) return x;
  return b_.emit(ScalarOp::add, *x, *y);
}

Term TermArithmetic::sub(Term x, Term y) {
  if (!y) return x;
  if (!x) return neg(y);
  return b_.emit(ScalarOp::sub, *x, *y);
}

Term TermArithmetic::neg(Term x) {
  if (!x) return x;
  return b_.emit(ScalarOp::neg, *x);
}

Term TermArithmetic::scale(Term x, double factor) {
  if (!x || factor == 1) return x;
  if (factor == 0) return std::nullopt;
  if (factor == -1) return neg(x);
  return b_.emit(ScalarOp::mul, *x, b_.constant(factor, dtype_));
}

ScalarValue TermArithmetic::value(Term x) { return x ? *x : b_.constant(0, dtype_); }

namespace {

template <class T>
std::vector<T> every_second(const std::vector<T>& x, std::size_t first) {
  std::vector<T> half;
  for (std::size_t i = first; i < x.size(); i += 2) half.push_back(x[i]);
  return half;
}

}  // namespace

ComplexTerm FourierCode::add(const ComplexTerm& x, const ComplexTerm& y) {
  return {a_.add(x.re, y.re), a_.add(x.im, y.im)};
}
ComplexTerm FourierCode::sub(const ComplexTerm& x, const ComplexTerm& y) {
  return {a_.sub(x.re, y.re), a_.sub(x.im, y.im)};
}
ComplexTerm FourierCode::conjugate(const ComplexTerm& x) { return {x.re, a_.neg(x.im)}; }

ComplexTerm FourierCode::turn(const ComplexTerm& x, std::int64_t k, std::int64_t n, bool is_inverse) {
  // Eighths of a circle are exact, or one factor for both parts.
  if (8 * k % n == 0) {
    std::int64_t eighth = 8 * k / n % 8;
    if (is_inverse) eighth = (8 - eighth) % 8;
    ComplexTerm y = x;
    for (std::int64_t quarter = 0; quarter < eighth / 2; ++quarter) y = {y.im, a_.neg(y.re)};
    if (eighth % 2 == 0) return y;
    const double half = std::numbers::sqrt2 / 2;
    return {a_.scale(a_.add(y.re, y.im), half), a_.scale(a_.sub(y.im, y.re), half)};
  }
  const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
  const double c = std::cos(angle), s = is_inverse ? -std::sin(angle) : std::sin(angle);
  return {a_.add(a_.scale(x.re, c), a_.scale(x.im, s)), a_.sub(a_.scale(x.im, c), a_.scale(x.re, s))};
}

// The depth of these recursions is log2 of a transform length.

std::vector<ComplexTerm> FourierCode::transform(const std::vector<ComplexTerm>& x, bool is_inverse) {
  const std::size_t n = x.size();
  if (n == 1) return x;
  const std::vector<ComplexTerm> even = transform(every_second(x, 0), is_inverse);
  const std::vector<ComplexTerm> odd = transform(every_second(x, 1), is_inverse);
  std::vector<ComplexTerm> result(n);
  for (std::size_t k = 0; k < n / 2; ++k) {
    const ComplexTerm t =
        turn(odd[k], static_cast<std::int64_t>(k), static_cast<std::int64_t>(n), is_inverse);
    result[k] = add(even[k], t);
    result[k + n / 2] = sub(even[k], t);
  }
  return result;
}

/// The spectrum of real samples is symmetric: half of the halves' spectra is enough.
std::vector<ComplexTerm> FourierCode::of_real(const std::vector<Term>& x) {
  const std::size_t n = x.size();
  if (n == 1) return {{x[0], std::nullopt}};
  const std::vector<ComplexTerm> even = of_real(every_second(x, 0)), odd = of_real(every_second(x, 1));
  std::vector<ComplexTerm> result(n / 2 + 1);
  for (std::size_t k = 0; k <= n / 4; ++k) {
    const ComplexTerm t = turn(odd[k], static_cast<std::int64_t>(k), static_cast<std::int64_t>(n), false);
    result[k] = add(even[k], t);
    if (n / 2 - k != k) result[n / 2 - k] = conjugate(sub(even[k], t));
  }
  return result;
}

std::vector<Term> FourierCode::to_real(const std::vector<ComplexTerm>& spectrum, std::int64_t samples) {
  if (samples == 1) return {spectrum[0].re};
  const auto half = static_cast<std::size_t>(samples / 2);
  std::vector<ComplexTerm> even, odd;
  for (std::size_t k = 0; k <= half / 2; ++k) {
    const ComplexTerm mirrored = conjugate(spectrum[half - k]);
    even.push_back(add(spectrum[k], mirrored));
    odd.push_back(turn(sub(spectrum[k], mirrored), static_cast<std::int64_t>(k), samples, true));
  }
  const std::vector<Term> of_even = to_real(even, samples / 2), of_odd = to_real(odd, samples / 2);
  std::vector<Term> result;
  for (std::size_t i = 0; i < half; ++i) {
    result.push_back(of_even[i]);
    result.push_back(of_odd[i]);
  }
  return result;
}

}  // namespace croton
