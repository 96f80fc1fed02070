#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

std::string_view contraction_products() {
  return R"cuda(
// Tiles of the packed operand lie in memory as they will lie in shared memory.
template <class C, bool is_tensor_core = C::is_tensor_core> struct PackedTile {
  using A = typename C::Arithmetic;
  static constexpr int unit = 32 * A::planes * A::words;  // 16 depths x 8 columns
  static constexpr int rows = C::tile_depth / 16, row_words = C::tile_columns / 8 * unit, pitch = C::packed_columns / 8 * unit;
};
template <class C> struct PackedTile<C, false> {
  static constexpr int value = (int)sizeof(typename C::Value) / 4;
  static constexpr int rows = C::tile_depth, row_words = C::tile_columns * value, pitch = C::packed_columns * value;
};

template <class C> DEVICE void fetch_packed(u32* tile_memory, const u32* tile, bool is_tile) {
  using P = PackedTile<C>;
  const SharedPlace to = shared_place(tile_memory + 4 * threadIdx.x);
  const u32* const from = tile + 4 * threadIdx.x;
#pragma unroll
  for (int row = 0; row < P::rows; ++row) {
#pragma unroll
    for (int first = 0; first < P::row_words / 4; first += C::threads) {
      const int i = first + (int)threadIdx.x;
      if (first + C::threads <= P::row_words / 4 || i < P::row_words / 4)
        copy_async<16>(to + (row * P::row_words + 4 * first) * 4, from + (i64)row * P::pitch + 4 * first, is_tile);
    }
  }
}

// A thread's sums: rows and columns of the tile that they belong to.
template <class C, bool is_tensor_core = C::is_tensor_core> struct Sums {
  using A = typename C::Arithmetic;
  static constexpr int rows = 2 * C::row_units, columns = 2 * C::column_units;
  float sum[C::row_units][C::column_units][4];
  int first_row, first_column, lane;

  DEVICE Sums() {
    const int warp = (int)threadIdx.x / 32;
    lane = (int)threadIdx.x % 32;
    first_row = warp % C::warps_rows * 16 * C::row_units;
    first_column = warp / C::warps_rows * 8 * C::column_units;
#pragma unroll
    for (int i = 0; i < C::row_units; ++i)
#pragma unroll
      for (int j = 0; j < C::column_units; ++j)
#pragma unroll
        for (int k = 0; k < 4; ++k) sum[i][j][k] = 0;
  }
  DEVICE int row(int i) const { return first_row + i / 2 * 16 + i % 2 * 8 + lane / 4; }
  DEVICE int column(int j) const { return first_column + j / 2 * 8 + lane % 4 * 2 + j % 2; }
  DEVICE float value(int i, int j) const { return sum[i / 2][j / 2][2 * (i % 2) + j % 2]; }

  template <int pass> static DEVICE void pass_of(float (&to)[C::column_units][4], const typename A::Factors& x,
                                                 const u32 (&y)[C::column_units][A::planes * A::words]) {
#pragma unroll
    for (int j = 0; j < C::column_units; ++j) A::template multiply<pass>(to[j], x, y[j]);
  }
  static DEVICE void add_products(float (&to)[C::column_units][4], const typename A::Factors& x,
                                  const u32 (&y)[C::column_units][A::planes * A::words]) {
    pass_of<0>(to, x, y);
    if constexpr (A::passes == 3) {
      pass_of<1>(to, x, y);
      pass_of<2>(to, x, y);
    }
  }
  // fetch() begins copies of another tile, where the first products hide that.
  template <class Fetch> DEVICE void multiply(const float* gathered, const u32* packed, const Fetch& fetch) {
    using G = GatheredTile<C>;
    constexpr int steps = C::tile_depth / 16, words = A::words;
    u32 y[steps][C::column_units][A::planes * words];
#pragma unroll
    for (int k = 0; k < steps; ++k)
#pragma unroll
      for (int j = 0; j < C::column_units; ++j)
#pragma unroll
        for (int plane = 0; plane < A::planes; ++plane) {
          const int unit = (k * (C::tile_columns / 8) + first_column / 8 + j) * A::planes + plane;
          const Pack<u32, words> w = load_pack<words>(packed + (unit * 32 + lane) * words);
#pragma unroll
          for (int i = 0; i < words; ++i) y[k][j][plane * words + i] = w.at[i];
        }
#pragma unroll
    for (int i = 0; i < C::row_units; ++i) {
      typename A::Factors x[steps];
#pragma unroll
      for (int k = 0; k < steps; ++k) {
        const int r = first_row + 16 * i + lane / 4, d = 16 * k + lane % 4 * 2;
        float v[8];
#pragma unroll
        for (int half = 0; half < 2; ++half)
#pragma unroll
          for (int upper = 0; upper < 2; ++upper) {
            if constexpr (C::lanes_are_rows) {
              v[4 * half + 2 * upper] = gathered[G::at(r + 8 * upper, d + 8 * half)];
              v[4 * half + 2 * upper + 1] = gathered[G::at(r + 8 * upper, d + 8 * half + 1)];
            } else {
              const Pack<float, 2> both = load_pack<2>(gathered + G::at(r + 8 * upper, d + 8 * half));
              v[4 * half + 2 * upper] = both.at[0];
              v[4 * half + 2 * upper + 1] = both.at[1];
            }
          }
        x[k] = A::split(v);
      }
      if (i == 0) fetch();
      if constexpr (A::promotes) {
        // Tensor cores cut what they add up, always toward zero: long sums are made outside of them.
        float part[C::column_units][4];
#pragma unroll
        for (int j = 0; j < C::column_units; ++j)
#pragma unroll
          for (int k = 0; k < 4; ++k) part[j][k] = 0;
#pragma unroll
        for (int k = 0; k < steps; ++k) add_products(part, x[k], y[k]);
#pragma unroll
        for (int j = 0; j < C::column_units; ++j)
#pragma unroll
          for (int k = 0; k < 4; ++k) sum[i][j][k] += part[j][k];
      } else {
#pragma unroll
        for (int k = 0; k < steps; ++k) add_products(sum[i], x[k], y[k]);
      }
    }
  }
};
template <class C> struct Sums<C, false> {
  using Value = typename C::Value;
  static constexpr int thread_rows = 16, thread_columns = C::threads / thread_rows;
  static constexpr int rows = C::tile_rows / thread_rows, columns = C::tile_columns / thread_columns;
  Value sum[rows][columns];
  int first_row, first_column;

  DEVICE Sums() {
    first_row = (int)threadIdx.x % thread_rows;
    first_column = (int)threadIdx.x / thread_rows * columns;
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j) sum[i][j] = 0;
  }
  DEVICE int row(int i) const { return first_row + thread_rows * i; }
  DEVICE int column(int j) const { return first_column + j; }
  DEVICE Value value(int i, int j) const { return sum[i][j]; }
  static DEVICE float product_sum(float x, float y, float s) { return fmaf(x, y, s); }
  static DEVICE double product_sum(double x, double y, double s) { return fma(x, y, s); }

  template <class Fetch> DEVICE void multiply(const Value* gathered, const u32* packed, const Fetch& fetch) {
    using G = GatheredTile<C>;
    const Value* const columns_of = reinterpret_cast<const Value*>(packed);
    fetch();
#pragma unroll 4
    for (int k = 0; k < C::tile_depth; ++k) {
      Value x[rows];
#pragma unroll
      for (int i = 0; i < rows; ++i) x[i] = gathered[G::at(row(i), k)];
      constexpr int wide = columns * sizeof(Value) % 16 == 0 ? 16 / (int)sizeof(Value) : 1;
#pragma unroll
      for (int j = 0; j < columns; j += wide) {
        const Pack<Value, wide> y = load_pack<wide>(columns_of + k * C::tile_columns + first_column + j);
#pragma unroll
        for (int l = 0; l < wide; ++l)
#pragma unroll
          for (int i = 0; i < rows; ++i) sum[i][j + l] = product_sum(x[i], y.at[l], sum[i][j + l]);
      }
    }
  }
};

template <class C> struct SharedTiles {
  static constexpr int gathered = GatheredTile<C>::count * (int)sizeof(typename C::Value);
  static constexpr int packed = PackedTile<C>::rows * PackedTile<C>::row_words * 4;
  static_assert(gathered % 16 == 0 && packed % 16 == 0, "tiles are copied by 16 bytes");
};

template <class C> DEVICE void contract(const typename C::Element* gathered, const u32* packed, typename C::Result* result) {
  SHARED
  using S = SharedTiles<C>;
  using Value = typename C::Value;
  u32 block = blockIdx.x;
  const typename C::Part part = C::part_of(block);
  const i32 first_column = (i32)(block % C::column_tiles) * C::tile_columns;
  block /= C::column_tiles;
  const u32 row_tiles = (u32)C::row_tiles(part);
  const i32 first_row = (i32)(block % row_tiles) * C::tile_rows;
  block /= row_tiles;
  const i32 batch = (i32)(block % C::batch), split = (i32)(block / C::batch);

  unsigned char* const packed_memory = shared_memory + C::stages * S::gathered;
  auto* const table = reinterpret_cast<Spot<C::bounds>*>(packed_memory + C::stages * S::packed);
  const auto gathered_at = [&](int stage) { return reinterpret_cast<Value*>(shared_memory + stage * S::gathered); };
  const auto packed_at = [&](int stage) { return reinterpret_cast<u32*>(packed_memory + stage * S::packed); };

  Gather<C> gather(gathered + (i64)batch * C::gathered_batch(part), part, table, first_row);
  const i32 tiles = C::depth_tiles(part), tiles_of_split = (tiles + C::splits - 1) / C::splits;
  const i32 begin = split * tiles_of_split, end = begin + tiles_of_split < tiles ? begin + tiles_of_split : tiles;
  using P = PackedTile<C>;
  const u32* const columns = packed + C::packed_first(part) + (i64)batch * tiles * P::rows * P::pitch +
                             (i64)(first_column / C::tile_columns) * P::row_words;
  const auto fetch = [&](i32 tile, int stage) {
    fetch_packed<C>(packed_at(stage), columns + (i64)tile * P::rows * P::pitch, tile < end);
    gather.fetch(tile, tile < end, gathered_at(stage));
  };

  Sums<C> sums;
  int stage = 0, next_stage = C::stages - 1;
#pragma unroll
  for (int i = 0; i < C::stages - 1; ++i) {
    if (C::fetches_always || begin + i < end) {
      fetch(begin + i, i);
      gather.put(gathered_at(i));
    }
    copies_end();
  }
  for (i32 tile = begin; tile < end; ++tile) {
    copies_wait<C::stages - 2>();
    block_barrier();
    const i32 next = tile + C::stages - 1;
    if (!C::fetches_always) {
      if (next < end) fetch(next, next_stage);
      copies_end();
    }
    sums.multiply(gathered_at(stage), packed_at(stage), [&] {
      if (!C::fetches_always) return;
      fetch(next, next_stage);
      copies_end();
    });
    if (C::fetches_always || next < end) gather.put(gathered_at(next_stage));
    stage = stage + 1 == C::stages ? 0 : stage + 1;
    next_stage = next_stage + 1 == C::stages ? 0 : next_stage + 1;
  }

  copies_wait<0>();

  const float scales[2] = {C::is_scaled ? float_of_bits(packed[2]) : 1.0f, C::is_scaled ? float_of_bits(packed[3]) : 1.0f};
  typename C::Result* const to = result + (i64)split * C::result_count + (i64)batch * C::result_batch(part);
  Spot<C::result_bounds> row[Sums<C>::rows];
#pragma unroll
  for (int i = 0; i < Sums<C>::rows; ++i) {
    const i32 r = first_row + sums.row(i);
    row[i] = C::result_row(part, r < C::rows(part) ? r : 0);
  }
#pragma unroll
  for (int j = 0; j < Sums<C>::columns; ++j) {
    const i32 c = first_column + sums.column(j);
    const Spot<C::result_bounds> column = C::result_column(part, c < C::columns ? c : 0);
#pragma unroll
    for (int i = 0; i < Sums<C>::rows; ++i) {
      if (c < C::columns && first_row + sums.row(i) < C::rows(part) && C::is_stored(part, row[i], column))
        to[row[i].offset + column.offset] = C::result_of(C::is_scaled ? sums.value(i, j) * scales[0] * scales[1] : sums.value(i, j));
    }
  }
}

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
    A::pack(y, to + (i64)unit * (32 * A::planes * A::words) + lane * A::words);
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
  if (!is_last_block(&C::arrived())) return;
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

// Always in the same order.
template <class C> DEVICE void add_splits(const typename C::Result* partial, typename C::Element* result) {
  const u32 i = blockIdx.x * 256u + threadIdx.x;
  if (i >= (u32)C::result_count) return;
  typename C::Result sum = partial[i];
  for (int split = 1; split < C::splits; ++split) sum += partial[(i64)split * C::result_count + i];
  result[i] = C::element_of(sum);
}
)cuda";
}

}  // namespace croton
