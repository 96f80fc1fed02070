#pragma once

#include <array>
#include <cstdint>

namespace croton {

// The random numbers of Croton: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011), a function from a key (2 words of 32 bits) and a counter (4 words) to a block of 4
// words. Nothing depends on the order of evaluation, so every device gives the same draws.
//
// The state of a stream is uint64[3]: {seed, stream, position}. A draw of n elements in C order uses blocks
// position, position + 1, … (modulo 2^64); block number B is
//     philox(counter = {low(B), high(B), low(stream), high(stream)}, key = {low(seed), high(seed)})
// with low and high halves of 64 bits. The new state has position + ceil(n / elements a block).
//
//                 elements a block   element i
// random_bits
//   uint32        4                  W = word i % 4 of block i / 4
//   uint64        2                  D = word 2j | word 2j + 1 << 32 of block i / 2, j = i % 2
// random_uniform, in [0, 1)
//   float16       4                  (W >> 21) * 2^-11
//   bfloat16      4                  (W >> 24) * 2^-8
//   float32       4                  (W >> 8) * 2^-24
//   float64       2                  (D >> 11) * 2^-53
// random_normal, by Box and Muller's transform of U = (0, 1] and V = [0, 1)
//   float32       4                  j = i % 4 / 2: U = float(word 2j) * 2^-32 + 2^-33 (rounded to float32 at
//                                    each step), V = (word 2j + 1 >> 8) * 2^-24
//   float16, bfloat16                the float32 draw, rounded
//   float64       2                  U = ((D of j = 0) >> 11) * 2^-53 + 2^-54, V = ((D of j = 1) >> 11) *
//   2^-53 the element: sqrt(-2 log U) * cos(2 pi V) for even i, sin in its place for odd i.

struct PhiloxBlock {
  std::array<std::uint32_t, 4> words;
};

inline constexpr std::uint32_t philox_multiplier_0 = 0xD2511F53u;
inline constexpr std::uint32_t philox_multiplier_1 = 0xCD9E8D57u;
inline constexpr std::uint32_t philox_key_step_0 = 0x9E3779B9u;
inline constexpr std::uint32_t philox_key_step_1 = 0xBB67AE85u;

/// Ten rounds of Philox 4x32.
inline constexpr PhiloxBlock philox_4x32_10(std::array<std::uint32_t, 4> counter,
                                            std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] += philox_key_step_0;
      key[1] += philox_key_step_1;
    }
    const std::uint64_t p0 = std::uint64_t{philox_multiplier_0} * counter[0];
    const std::uint64_t p1 = std::uint64_t{philox_multiplier_1} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
  }
  return {counter};
}

/// Block number `block` of a stream.
inline constexpr PhiloxBlock philox_block(std::uint64_t seed, std::uint64_t stream, std::uint64_t block) {
  return philox_4x32_10({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                         static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

}  // namespace croton
