#pragma once

#include <cstddef>

namespace croton {

/// Mixes a value into a running hash (order matters).
inline void hash_combine(std::size_t& seed, std::size_t value) {
  seed ^= value + 0x9e3779b97f4a7c15ull + (seed << 12) + (seed >> 4);
  seed *= 0xff51afd7ed558ccdull;
  seed ^= seed >> 33;
}

}  // namespace croton
