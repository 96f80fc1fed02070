#pragma once

#include <math.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numbers>
#include <type_traits>

#include "croton/graph/dtype.h"
#include "croton/graph/error.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/elementwise.h"

/// What the rows of the elementwise table write their reference values in: each is a generic lambda over the
/// computing type, which these loops run over the elements of a dtype.
namespace croton::reference {

// The sets of dtypes that a row computes on.
struct AllTypes {
  template <class T>
  static constexpr bool has = true;
};
struct Floats {
  template <class T>
  static constexpr bool has = is_floating(dtype_of<T>);
};
struct Numbers {
  template <class T>
  static constexpr bool has = !std::is_same_v<T, bool>;
};
struct Discrete {
  template <class T>
  static constexpr bool has = is_discrete(dtype_of<T>);
};
struct Integers {
  template <class T>
  static constexpr bool has = is_integer(dtype_of<T>);
};

/// Floating elements are computed in double and rounded once: for + - * / and sqrt that is the dtype's own
/// arithmetic (double has more than twice the digits), for the rest it is the nearest value.
template <class T>
using Computed = std::conditional_t<is_floating(dtype_of<T>), double, T>;

template <class T>
Computed<T> load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<Computed<T>>(value);
}
template <class T, class C>
void store(std::byte* at, C result) {
  const T value = convert_element<T>(result);
  std::memcpy(at, &value, sizeof value);
}

template <class Set, class Body>
void visit_set(DType dtype, Body&& body) {
  visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (Set::template has<T>)
      body(tag);
    else
      throw InternalError("an elementwise reference was called with a dtype that its row excludes");
  });
}

/// The loops. Out: void for the inputs' dtype, bool for predicates.
template <class Set, class Out, class F>
void unary_loop(DType dtype, std::int64_t n, const std::byte* const* in, const std::int64_t* steps,
                std::byte* out) {
  visit_set<Set>(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using R = std::conditional_t<std::is_void_v<Out>, T, Out>;
    for (std::int64_t i = 0; i < n; ++i) {
      const Computed<T> x = load<T>(in[0] + i * steps[0]);
      store<R>(out + i * static_cast<std::int64_t>(sizeof(R)), static_cast<Computed<R>>(F{}(x)));
    }
  });
}
template <class Set, class Out, class F>
void binary_loop(DType dtype, std::int64_t n, const std::byte* const* in, const std::int64_t* steps,
                 std::byte* out) {
  visit_set<Set>(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using R = std::conditional_t<std::is_void_v<Out>, T, Out>;
    for (std::int64_t i = 0; i < n; ++i) {
      const Computed<T> a = load<T>(in[0] + i * steps[0]);
      const Computed<T> b = load<T>(in[1] + i * steps[1]);
      store<R>(out + i * static_cast<std::int64_t>(sizeof(R)), static_cast<Computed<R>>(F{}(a, b)));
    }
  });
}
/// Three inputs of the dtype; with `Condition` the first is a bool.
template <class Condition, class F>
void ternary_loop(DType dtype, std::int64_t n, const std::byte* const* in, const std::int64_t* steps,
                  std::byte* out) {
  visit_set<AllTypes>(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using First = std::conditional_t<std::is_void_v<Condition>, T, Condition>;
    for (std::int64_t i = 0; i < n; ++i) {
      const Computed<First> a = load<First>(in[0] + i * steps[0]);
      const Computed<T> b = load<T>(in[1] + i * steps[1]);
      const Computed<T> c = load<T>(in[2] + i * steps[2]);
      store<T>(out + i * static_cast<std::int64_t>(sizeof(T)), static_cast<Computed<T>>(F{}(a, b, c)));
    }
  });
}

template <class Set, class F>
constexpr ElementwiseLoop unary(F) {
  return &unary_loop<Set, void, F>;
}
template <class Set, class F>
constexpr ElementwiseLoop binary(F) {
  return &binary_loop<Set, void, F>;
}
template <class F>
constexpr ElementwiseLoop unary_predicate(F) {
  return &unary_loop<AllTypes, bool, F>;
}
template <class F>
constexpr ElementwiseLoop binary_predicate(F) {
  return &binary_loop<AllTypes, bool, F>;
}
template <class F>
constexpr ElementwiseLoop ternary(F) {
  return &ternary_loop<void, F>;
}
template <class F>
constexpr ElementwiseLoop conditional(F) {
  return &ternary_loop<bool, F>;
}

// Arithmetic. Integers wrap around; bool adds as "or" and multiplies as "and".

template <class C>
constexpr bool is_wrapping = std::is_integral_v<C> && !std::is_same_v<C, bool>;

template <class C>
C sum(C a, C b) {
  if constexpr (is_wrapping<C>)
    return static_cast<C>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return static_cast<C>(a + b);
}
template <class C>
C difference(C a, C b) {
  if constexpr (is_wrapping<C>)
    return static_cast<C>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  else
    return a - b;
}
template <class C>
C product(C a, C b) {
  if constexpr (is_wrapping<C>)
    return static_cast<C>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  else
    return static_cast<C>(a * b);
}
template <class C>
C negative(C a) {
  if constexpr (is_wrapping<C>)
    return static_cast<C>(std::uint64_t{0} - static_cast<std::uint64_t>(a));
  else
    return -a;
}
template <class C>
C magnitude(C a) {
  if constexpr (std::is_floating_point_v<C>)
    return std::fabs(a);
  else if constexpr (std::is_signed_v<C>)
    return a < 0 ? negative(a) : a;
  else
    return a;
}
template <class C>
C sign(C a) {
  if constexpr (std::is_floating_point_v<C>) {
    return a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : a;  // NaN stays
  } else {
    return static_cast<C>(a > C{} ? 1 : a < C{} ? -1 : 0);
  }
}

/// a - floor(a / b) * b, of the divisor's sign; exact (fmod is). For integers a division by zero gives 0, for
/// floating ones NaN.
template <class C>
C floor_mod(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    const C r = std::fmod(a, b);
    if (r == 0) return std::copysign(C{0}, b);
    return (r < 0) != (b < 0) ? r + b : r;
  } else if constexpr (std::is_signed_v<C>) {
    if (b == 0 || b == C{-1}) return 0;
    const C r = static_cast<C>(a % b);
    return r != 0 && (r < 0) != (b < 0) ? static_cast<C>(r + b) : r;
  } else {
    return b == 0 ? C{0} : static_cast<C>(a % b);
  }
}
/// The largest integer not above a / b. For floating numbers computed from the exact remainder, so that it
/// fits floor_mod; x / 0 is what the division gives.
template <class C>
C floor_div(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    if (b == 0 || std::isnan(a) || std::isnan(b)) return a / b;
    if (std::isinf(a)) return std::numeric_limits<C>::quiet_NaN();
    C r = std::fmod(a, b);
    C quotient = (a - r) / b;
    if (r != 0 && (r < 0) != (b < 0)) quotient -= 1;
    if (quotient == 0) return std::copysign(C{0}, a / b);
    const C floored = std::floor(quotient);
    return quotient - floored > 0.5 ? floored + 1 : floored;
  } else if constexpr (std::is_signed_v<C>) {
    if (b == 0) return 0;
    if (b == C{-1}) return negative(a);
    const C quotient = static_cast<C>(a / b);
    return a % b != 0 && (a < 0) != (b < 0) ? static_cast<C>(quotient - 1) : quotient;
  } else {
    return b == 0 ? C{0} : static_cast<C>(a / b);
  }
}

/// For integers by squaring, wrapping around; a negative exponent gives 1 / a^-b truncated, and 0 for a = 0.
template <class C>
C power(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    return std::pow(a, b);
  } else {
    if constexpr (std::is_signed_v<C>) {
      if (b < 0) return a == 1 ? C{1} : a == C{-1} ? (b % 2 == 0 ? C{1} : C{-1}) : C{0};
    }
    C result = 1;
    for (auto left = static_cast<std::uint64_t>(b); left != 0; left >>= 1) {
      if (left & 1) result = product(result, a);
      a = product(a, a);
    }
    return result;
  }
}

/// NaN wins.
template <class C>
C larger(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    if (std::isnan(a)) return a;
    if (std::isnan(b)) return b;
  }
  return a < b ? b : a;
}
template <class C>
C smaller(C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    if (std::isnan(a)) return a;
    if (std::isnan(b)) return b;
  }
  return b < a ? b : a;
}

/// Shifts by a negative amount or by the width and more shift everything out.
template <class C>
C shift_left(C a, C b) {
  if (b < C{} || b >= static_cast<C>(8 * sizeof(C))) return 0;
  return static_cast<C>(static_cast<std::uint64_t>(a) << b);
}
template <class C>
C shift_right(C a, C b) {
  if (b < C{} || b >= static_cast<C>(8 * sizeof(C))) return static_cast<C>(a < C{} ? -1 : 0);
  return static_cast<C>(a >> b);
}

// Functions that the standard library lacks.

inline double sigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
inline double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
inline double logaddexp(double a, double b) {
  if (a == b) return a + std::numbers::ln2;  // equal infinities too
  return larger(a, b) + std::log1p(std::exp(-std::fabs(a - b)));
}
/// std::lgamma writes a global sign; this does not.
inline double gammaln(double x) {
  int sign_of_gamma;
  return ::lgamma_r(x, &sign_of_gamma);
}
/// The digamma function: reflection for negative x, recurrence up to 10, then the asymptotic series
/// (Abramowitz and Stegun 6.3.7, 6.3.5, 6.3.18).
double digamma(double x);

}  // namespace croton::reference
