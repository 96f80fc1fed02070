#pragma once

#include <croton/croton.h>

#include <cstdint>

/// Numbers that look random, the same ones in peers/peer.py, so that results can be compared.
croton::Tensor uniform(const croton::Shape& shape, std::uint32_t seed, float low = -1, float high = 1);
/// Uniform in ±1/sqrt(fan_in).
croton::Tensor weights(const croton::Shape& shape, std::int64_t fan_in, std::uint32_t seed);
/// int32 in [0, classes).
croton::Tensor labels(std::int64_t count, std::int64_t classes, std::uint32_t seed);
