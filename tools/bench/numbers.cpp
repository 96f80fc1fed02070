#include "numbers.h"

#include <algorithm>
#include <cmath>

using namespace croton;

Tensor uniform(const Shape& shape, std::uint32_t seed, float low, float high) {
  Tensor t = Tensor::empty(shape, DType::float32);
  float* values = t.data<float>();
  for (std::int64_t i = 0; i < t.size(); ++i) {
    // An integer hash (multiply and xor-shift, constants by C. Wellons), of which 24 bits fit a float.
    std::uint32_t x = static_cast<std::uint32_t>(i) + seed * 0x9E3779B9U;
    x ^= x >> 16;
    x *= 0x7FEB352DU;
    x ^= x >> 15;
    x *= 0x846CA68BU;
    x ^= x >> 16;
    values[i] = low + (high - low) * (static_cast<float>(x >> 8) * 0x1p-24F);
  }
  return t;
}

Tensor weights(const Shape& shape, std::int64_t fan_in, std::uint32_t seed) {
  const auto bound = static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)));
  return uniform(shape, seed, -bound, bound);
}

Tensor labels(std::int64_t count, std::int64_t classes, std::uint32_t seed) {
  const Tensor u = uniform({count}, seed, 0, 1);
  Tensor t = Tensor::empty({count}, DType::int32);
  for (std::int64_t i = 0; i < count; ++i) {
    t.data<std::int32_t>()[i] = static_cast<std::int32_t>(
        std::min<float>(u.data<float>()[i] * static_cast<float>(classes), static_cast<float>(classes - 1)));
  }
  return t;
}
