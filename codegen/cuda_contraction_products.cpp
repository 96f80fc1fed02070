#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

std::string_view contraction_products() {
  return R"cuda(
// How a block fetches its columns of the other operand: packed, or as it lies.
template <class C, bool is_direct = C::is_direct> struct Other {
  using P = PackedTile<C>;
  static constexpr int bytes = P::rows * P::row_words * 4;
  const u32* columns;

  DEVICE Other(const u32* packed, const typename C::Part& part, void*, i32 first_column, i32 batch) {
    columns = packed + C::packed_first(part) + (i64)batch * C::depth_tiles(part) * P::rows * P::pitch +
              (i64)(first_column / C::tile_columns) * P::row_words;
  }
  DEVICE void fetch(i32 tile, bool is_tile, u32* tile_memory) {
    const SharedPlace to = shared_place(tile_memory + 4 * threadIdx.x);
    const u32* const from = columns + (i64)tile * P::rows * P::pitch + 4 * threadIdx.x;
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
};
template <class C> struct Other<C, true> {
  using G = OtherAsGathered<C>;
  static constexpr int bytes = GatheredTile<G>::count * (int)sizeof(typename C::Value);
  Gather<G> gather;

  DEVICE Other(const typename C::Element* operand, const typename C::Part& part, void* table, i32 first_column, i32)
      : gather(operand, part, reinterpret_cast<Spot<G::bounds>*>(table), first_column) {}
  DEVICE void fetch(i32 tile, bool is_tile, u32* tile_memory) {
    gather.fetch(tile, is_tile, reinterpret_cast<typename C::Value*>(tile_memory));
  }
};

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

  // Leaves this split's sums in memory; the block of the tile that ends last has those of all, added in their order.
  DEVICE bool add_splits(float* partial, i32 split, u32* arrived, u32 splits) {
    constexpr int count = C::row_units * C::column_units * 4;
    float* const flat = &sum[0][0][0];
    partial += threadIdx.x;
#pragma unroll
    for (int i = 0; i < count; ++i) partial[(split * count + i) * C::threads] = flat[i];
    if (!is_last_of(arrived, splits)) return false;
#pragma unroll
    for (int i = 0; i < count; ++i) flat[i] = partial[i * C::threads];
    for (u32 other = 1; other < splits; ++other) {
#pragma unroll
      for (int i = 0; i < count; ++i) flat[i] += partial[((int)other * count + i) * C::threads];
    }
    return true;
  }

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
  // Elements at depths d and d + 1 of a line of a tile.
  template <class Tile> static DEVICE Pack<float, 2> pair_at(const float* tile, int line, int d) {
    if constexpr (!Tile::lanes_are_rows) return load_pack<2>(tile + Tile::at(line, d));
    Pack<float, 2> both;
    both.at[0] = tile[Tile::at(line, d)];
    both.at[1] = tile[Tile::at(line, d + 1)];
    return both;
  }
  // This lane's factors of 16 rows at depth d.
  DEVICE typename A::Factors gathered_factors(const float* gathered, int row, int d) const {
    float v[8];
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int upper = 0; upper < 2; ++upper) {
        const Pack<float, 2> both = pair_at<GatheredTile<C>>(gathered, row + 8 * upper, d + 8 * half);
        v[4 * half + 2 * upper] = both.at[0];
        v[4 * half + 2 * upper + 1] = both.at[1];
      }
    return A::split(v);
  }
  static DEVICE void clear(float (&to)[C::column_units][4]) {
#pragma unroll
    for (int j = 0; j < C::column_units; ++j)
#pragma unroll
      for (int k = 0; k < 4; ++k) to[j][k] = 0;
  }
  static DEVICE void add(float (&to)[C::column_units][4], const float (&part)[C::column_units][4]) {
#pragma unroll
    for (int j = 0; j < C::column_units; ++j)
#pragma unroll
      for (int k = 0; k < 4; ++k) to[j][k] += part[j][k];
  }
  // fetch() begins copies of another tile, where the first products hide that.
  // (Tensor cores cut what they add up, always toward zero: sums of tiles are added up outside of them where C::adds_up_tiles.)
  template <class Fetch> DEVICE void multiply(const float* gathered, const u32* packed, const Fetch& fetch) {
    constexpr int steps = C::tile_depth / 16, words = A::words;
    const int first = first_row + lane / 4, d = lane % 4 * 2;
    if constexpr (C::is_direct) {
      const float* const other = reinterpret_cast<const float*>(packed);
      float part[C::row_units][C::column_units][4];
#pragma unroll
      for (int i = 0; i < C::row_units; ++i) clear(part[i]);
#pragma unroll
      for (int k = 0; k < steps; ++k) {
        u32 y[C::column_units][A::planes * words];
#pragma unroll
        for (int j = 0; j < C::column_units; ++j) {
          using O = GatheredTile<OtherAsGathered<C>>;
          const int c = first_column + 8 * j + lane / 4;
          const Pack<float, 2> lower = pair_at<O>(other, c, 16 * k + d), upper = pair_at<O>(other, c, 16 * k + d + 8);
          const float v[4] = {lower.at[0], lower.at[1], upper.at[0], upper.at[1]};
          A::template pack<words>(v, y[j]);
        }
        if (k == 0) fetch();
#pragma unroll
        for (int i = 0; i < C::row_units; ++i)
          add_products(C::adds_up_tiles ? part[i] : sum[i], gathered_factors(gathered, first + 16 * i, 16 * k + d), y);
      }
      if constexpr (C::adds_up_tiles) {
#pragma unroll
        for (int i = 0; i < C::row_units; ++i) add(sum[i], part[i]);
      }
      return;
    }
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
      for (int k = 0; k < steps; ++k) x[k] = gathered_factors(gathered, first + 16 * i, 16 * k + d);
      if (i == 0) fetch();
      float part[C::column_units][4];
      clear(part);
#pragma unroll
      for (int k = 0; k < steps; ++k) add_products(C::adds_up_tiles ? part : sum[i], x[k], y[k]);
      if constexpr (C::adds_up_tiles) add(sum[i], part);
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
  static constexpr int packed = Other<C>::bytes;
  static constexpr int all_gathered = gathered_bytes<C>(C::stages * gathered);
  static_assert(gathered % 16 == 0 && packed % 16 == 0 && all_gathered % 16 == 0, "tiles are copied by 16 bytes");
};

// `other`: the other operand, packed or as it lies. finish(sum, row, column): the result from its sum.
template <class C, class From, class Finish>
DEVICE void contract(const typename C::Element* gathered, const From* other, typename C::Result* result, const Finish& finish) {
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

  unsigned char* const packed_memory = shared_memory + S::all_gathered;
  auto* const table = reinterpret_cast<Spot<C::bounds>*>(packed_memory + C::stages * S::packed);
  const auto gathered_at = [&](int stage) { return reinterpret_cast<Value*>(shared_memory + stage * S::gathered); };
  const auto packed_at = [&](int stage) { return reinterpret_cast<u32*>(packed_memory + stage * S::packed); };

  const i32 tiles = C::depth_tiles(part), tiles_of_split = (tiles + C::splits - 1) / C::splits;
  const i32 begin = split * tiles_of_split, end = begin + tiles_of_split < tiles ? begin + tiles_of_split : tiles;
  typename Gathering<C>::Type gather(gathered + (i64)batch * C::gathered_batch(part), part, table, first_row);
  if constexpr (C::has_patch) gather.keep(reinterpret_cast<Value*>(shared_memory), begin);
  Other<C> columns(other, part, table + GatheredTile<C>::table, first_column, batch);
  const auto fetch = [&](i32 tile, int stage) {
    columns.fetch(tile, tile < end, packed_at(stage));
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
    if constexpr (C::by_groups) group_sees_shared();
    block_barrier();
    const i32 next = tile + C::stages - 1;
    if (!C::fetches_always) {
      if (next < end) fetch(next, next_stage);
      copies_end();
    }
    const auto fetch_next = [&] {
      if (!C::fetches_always) return;
      fetch(next, next_stage);
      copies_end();
    };
    if constexpr (C::has_patch) {
      gather.turn_to(tile);
      multiply_by_groups<C>(sums, [&](int k) { return gather.factors(k); }, packed_at(stage), fetch_next);
    } else if constexpr (C::by_groups) {
      const auto factors = [&](int k) {
        return sums.gathered_factors(gathered_at(stage), sums.first_row + sums.lane / 4, 16 * k + sums.lane % 4 * 2);
      };
      multiply_by_groups<C>(sums, factors, packed_at(stage), fetch_next);
    } else {
      sums.multiply(gathered_at(stage), packed_at(stage), fetch_next);
    }
    if (C::fetches_always || next < end) gather.put(gathered_at(next_stage));
    stage = stage + 1 == C::stages ? 0 : stage + 1;
    next_stage = next_stage + 1 == C::stages ? 0 : next_stage + 1;
  }

  copies_wait<0>();

  float scales[2] = {1, 1};
  if constexpr (C::is_scaled) {
    scales[0] = float_of_bits(other[2]);
    scales[1] = float_of_bits(other[3]);
  }
  if constexpr (C::is_direct && C::splits > 1) {
    const u32 tile = blockIdx.x % (row_tiles * C::column_tiles);
    if (!sums.add_splits(finish.partial + (i64)tile * C::splits * C::tile_rows * C::tile_columns, split, &C::arrived(tile), C::splits)) return;
  }
  typename C::Result* const to = result + (C::is_direct ? 0 : (i64)split * C::result_count) + (i64)batch * C::result_batch(part);
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
        to[row[i].offset + column.offset] =
            C::result_of(C::is_scaled ? sums.value(i, j) * scales[0] * scales[1] : finish(sums.value(i, j), first_row + sums.row(i), c));
    }
  }
}

// What a contraction stores are its sums.
struct SumsThemselves {
  template <class T> DEVICE T operator()(T sum, i32, i32) const { return sum; }
};
// Of a product of matrices. Null: absent.
template <class C> struct ProductFinish {
  const float *addend, *alpha, *beta;
  float* partial;
  DEVICE float operator()(float sum, i32 row, i32 column) const {
    if (alpha != nullptr) sum *= *alpha;
    if (addend == nullptr) return sum;
    const float z = addend[row * C::addend_row + column * C::addend_column];
    return (beta != nullptr ? z * *beta : z) + sum;
  }
};

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
