#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "croton/graph/dtype.h"

namespace croton {

template <class T>
inline constexpr bool is_half = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

/// The float that a double rounds to by round-to-odd: rounding it again to a 16-bit type then gives the
/// double's own nearest value (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums", 2008).
inline float round_to_odd(double value) {
  float nearest = static_cast<float>(value);
  if (!std::isfinite(nearest) || static_cast<double>(nearest) == value) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (bits & 1u) return nearest;
  // The neighbour on the other side of the value has the odd last bit.
  bits = std::abs(static_cast<double>(nearest)) > std::abs(value) ? bits - 1 : bits + 1;
  return std::bit_cast<float>(bits);
}

/// One element converted as Tensor::astype and Cast do: to bool, anything but zero is true; floating to
/// integer truncates, saturates and takes NaN to 0; integer to integer keeps the low bits; to floating rounds
/// to nearest even.
template <class To, class From>
To convert_element(From from) {
  if constexpr (std::is_same_v<To, From>) {
    return from;
  } else if constexpr (is_half<From>) {
    return convert_element<To>(static_cast<float>(from));
  } else if constexpr (std::is_same_v<To, bool>) {
    return from != From{};
  } else if constexpr (is_half<To>) {
    if constexpr (std::is_same_v<From, float>)
      return To(from);
    else
      return To(round_to_odd(static_cast<double>(from)));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (std::isnan(from)) return 0;
    // max() + 1 is a power of two: exact in every floating type.
    constexpr From above = static_cast<From>(Limits::max() / 2 + 1) * 2;
    if (from >= above) return Limits::max();
    if (from <= static_cast<From>(Limits::min())) return Limits::min();
    return static_cast<To>(from);
  } else {
    return static_cast<To>(from);
  }
}

}  // namespace croton
