// Launches before the one that multiplies: an operand packed, and split into halves.

#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

std::string_view contraction_operands() {
  return R"cuda(
// The packed operand, tile by tile, a lane of a unit a thread.
template <class C> DEVICE void pack_operand(const typename C::Element* operand, u32* packed) {
  using Value = typename C::Value;
  u32 index = blockIdx.x * 256u + threadIdx.x;
  const typename C::Part part = C::packed_part_of(index);
  if (!C::is_in_part(part, index)) return;
  const Value scale = C::is_scaled ? (Value)float_of_bits(packed[1]) : (Value)1;
  const auto element = [&](i32 batch, i32 depth, i32 column) {
    Spot<C::packed_bounds> d;
    bool exists = column < C::columns;
    if constexpr (C::lanes_are_rows && C::has_chunks) {
      const i32 tile = depth / C::tile_depth, chunk = tile / C::taps(part);
      const i32 channel = chunk * C::tile_depth + depth % C::tile_depth;
      exists = exists && channel < C::channels(part);
      d = C::packed_tap(part, tile - chunk * C::taps(part));
      d.offset += channel * C::packed_channel_stride(part);
    } else {
      exists = exists && depth < C::depth(part);
      d = C::packed_depth(part, exists ? depth : 0);
    }
    const Spot<C::packed_bounds> c = C::packed_column(part, exists ? column : 0);
    if (!exists || !C::is_packed(part, d, c)) return (Value)0;
    const Value value = C::value_of(operand[(i64)batch * C::packed_batch(part) + d.offset + c.offset]);
    return C::is_scaled ? value * scale : value;
  };
  u32* const to = packed + C::packed_first(part);
  if constexpr (C::is_tensor_core) {
    using A = typename C::Arithmetic;
    const i32 lane = (i32)(index % 32), units = C::packed_columns / 8, rows = C::depth_tiles(part) * (C::tile_depth / 16);
    const i32 unit = (i32)(index / 32), column = unit % units * 8 + lane / 4;
    const i32 row = unit / units, depth = row % rows * 16 + lane % 4 * 2, batch = row / rows;
    const float y[4] = {element(batch, depth, column), element(batch, depth + 1, column),
                        element(batch, depth + 8, column), element(batch, depth + 9, column)};
    u32* const at = to + (i64)unit * (32 * A::planes * A::words);
    if constexpr (C::by_groups) {
      // Word i of all lanes: 8 columns x 16 bytes, which one product of four warps takes as they lie.
      u32 words[A::planes * A::words];
      A::template pack<A::words>(y, words);
#pragma unroll
      for (int i = 0; i < A::planes * A::words; ++i) at[32 * i + lane] = words[i];
    } else {
      A::template pack<32 * A::words>(y, at + lane * A::words);
    }
  } else {
    const i32 column = (i32)(index % C::packed_columns), row = (i32)(index / C::packed_columns);
    const i32 rows = C::depth_tiles(part) * C::tile_depth;
    reinterpret_cast<Value*>(to)[index] = element(row / rows, row % rows, column);
  }
}

// Powers of two that bring the largest factor of each operand near 2^14, and their inverses, into packed[0..3].
template <class C> DEVICE void find_scales(const float* gathered, const float* other, u32* packed) {
  SHARED
  float* const largest = reinterpret_cast<float*>(shared_memory);
  float* const of_blocks = reinterpret_cast<float*>(packed) + 4;
  const bool is_first = blockIdx.x < C::scale_blocks;
  const u32 block = is_first ? blockIdx.x : blockIdx.x - C::scale_blocks, step = C::scale_blocks * 256u;
  const float* const operand = is_first ? gathered : other;
  const u32 count = is_first ? (u32)C::gathered_count : (u32)C::packed_count;
  const auto of_block = [&](float mine) {
    largest[threadIdx.x] = mine;
    for (u32 half = 128; half > 0; half /= 2) {
      block_barrier();
      if (threadIdx.x < half) largest[threadIdx.x] = fmaxf(largest[threadIdx.x], largest[threadIdx.x + half]);
    }
    block_barrier();
    const float result = largest[0];
    block_barrier();
    return result;
  };
  float mine = 0;
#pragma unroll 8
  for (u32 i = block * 256u + threadIdx.x; i < count; i += step) mine = fmaxf(mine, fabsf(operand[i]));
  const float found = of_block(mine);
  if (threadIdx.x == 0) of_blocks[blockIdx.x] = found;
  if (!is_last_block(&C::arrived(0))) return;
  for (int k = 0; k < 2; ++k) {
    float most = 0;
    for (u32 i = threadIdx.x; i < C::scale_blocks; i += 256u) most = fmaxf(most, of_blocks[k * C::scale_blocks + i]);
    most = of_block(most);
    if (threadIdx.x != 0) continue;
    const int exponent = (int)(bits_of_float(most) >> 23) - 127, wanted = most == 0 ? 0 : exponent - 13;
    const int shift = wanted < -126 ? -126 : wanted;
    packed[k] = (u32)(127 - shift) << 23;
    packed[2 + k] = (u32)(127 + shift) << 23;
  }
}

// The gathered operand, each element in halves.
template <class C> DEVICE void split_operand(const float* operand, const u32* packed, u32* halves) {
  const u32 index = blockIdx.x * 256u + threadIdx.x;
  const float scale = float_of_bits(packed[0]);
  if ((u64)operand % 16 == 0 && C::gathered_count % 4 == 0) {
    if (index >= (u32)C::gathered_count / 4) return;
    const Pack<float, 4> x = load_pack<4>(operand + 4 * (i64)index);
    Pack<u32, 4> y;
#pragma unroll
    for (int i = 0; i < 4; ++i) y.at[i] = fp16_halves(x.at[i] * scale);
    store_pack<4>(halves + 4 * (i64)index, y);
  } else {
    for (i64 i = 4 * (i64)index; i < 4 * (i64)index + 4 && i < C::gathered_count; ++i) halves[i] = fp16_halves(operand[i] * scale);
  }
}
)cuda";
}

}  // namespace croton
