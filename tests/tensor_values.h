#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>

#include "croton/graph/tensor.h"

namespace croton::test {

/// Every dtype that tensors have.
inline constexpr DType real_dtypes[] = {DType::bool_,  DType::int8,    DType::int16,    DType::int32,
                                        DType::int64,  DType::uint8,   DType::uint16,   DType::uint32,
                                        DType::uint64, DType::float16, DType::bfloat16, DType::float32,
                                        DType::float64};

/// Uniform in [low, high), integers cut to the dtype's range; bools by a coin.
inline Tensor random_tensor(const Shape& shape, DType dtype, std::mt19937_64& generator, double low = -10,
                            double high = 10) {
  if (is_bool(dtype)) {
    low = 0;
    high = 2;
  } else if (is_unsigned_integer(dtype)) {
    low = std::max(low, 0.0);
  }
  std::uniform_real_distribution<double> uniform(low, high);
  Tensor values = Tensor::empty(shape, DType::float64);
  for_each_element(values.elements<double>(), [&](double& x) {
    x = uniform(generator);
    if (is_discrete(dtype)) x = std::floor(x);
  });
  return values.astype(dtype);
}

/// Equal values, where NaN equals NaN and (unlike same_value) zeros of both signs are equal.
inline bool equal_values(const Tensor& a, const Tensor& b) {
  return allclose(a, b, 0, 0, true) && a.dtype() == b.dtype();
}

/// How many representable values lie between two numbers of a dtype; 0 for two NaNs, huge for one.
template <class T>
double ulps_between(T a, T b) {
  const double x = a, y = b;
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y) ? 0 : 1e300;
  const auto order = [](T value) {
    std::int64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    const std::int64_t sign = std::int64_t{1} << (8 * sizeof(T) - 1);
    return (bits & sign) != 0 ? -(bits & ~sign) : bits;
  };
  return std::abs(static_cast<double>(order(a)) - static_cast<double>(order(b)));
}

}  // namespace croton::test
