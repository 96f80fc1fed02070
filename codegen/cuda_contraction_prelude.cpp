#include "croton/codegen/cuda_contraction.h"

namespace croton {

std::string_view contraction_device_prelude() {
  return R"cuda(
typedef u32 SharedPlace;
DEVICE SharedPlace shared_place(const void* p) { return (u32)__cvta_generic_to_shared(p); }
// What arrives is read behind copies_wait and a barrier only: other accesses may be moved across copies.
template <int bytes> DEVICE void copy_async(SharedPlace place, const void* from, bool exists) {
  const int read = exists ? bytes : 0;  // zeros for the rest
  if constexpr (bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(from), "r"(read));
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(place), "l"(from), "r"(read), "n"(bytes));
}
DEVICE void copies_end() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int left> DEVICE void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory"); }

DEVICE void mma_tf32(float (&d)[4], const u32* a, const u32* b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void mma_bf16(float (&d)[4], const u32* a, const u32* b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void mma_fp16(float (&d)[4], const u32* a, const u32* b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE u32 tf32_of(float x) { u32 y; asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x)); return y; }
// The first one lower.
DEVICE u32 bf16_pair(float x, float y) { u32 z; asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(z) : "f"(y), "f"(x)); return z; }
DEVICE u32 joined_halves(u32 x, u32 y) { return __byte_perm(x, y, 0x5410); }  // the lower ones
DEVICE u32 upper_halves(u32 x, u32 y) { return __byte_perm(x, y, 0x7632); }
DEVICE u32 fp16_pair(float x, float y) { u32 z; asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(z) : "f"(y), "f"(x)); return z; }
)cuda";
}

// A structure C says what is computed: constants of the cut, and functions from loop indices to places.
std::string_view contraction_prelude() {
  return R"cuda(
template <int bounds> struct alignas(bounds == 0 ? 4 : bounds == 1 ? 8 : 16) Spot {
  i32 offset;
  i32 at[bounds == 0 ? 1 : bounds];
};

// The nearest number of 11 significant bits. Of a number that is none, the difference to this is none either.
DEVICE u32 tf32_near(float x) { return (bits_of_float(x) + 0x1000u) & 0xffffe000u; }

// How tensor cores multiply. A lane has of 16 x 16 factors rows r and r + 8 (r = lane / 4) at depths d, d + 1, d + 8,
// d + 9 (d = 2 * (lane % 4)): x[0..1] row r at d, d + 1; x[2..3] row r + 8; x[4..7] the same at d + 8, d + 9. Of the
// other operand's 16 x 8 it has column lane / 4 at the same depths: y[0..3]. Sums at rows r, r + 8, columns d, d + 1.
struct Tf32 {
  static constexpr int planes = 1, words = 4, passes = 1;
  static constexpr bool promotes = false;
  struct Factors { u32 large[2][4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      // Tensor cores cut the lower bits; this brings most of what they cut back.
#pragma unroll
      for (int i = 0; i < 4; ++i) f.large[k][i] = bits_of_float(x[4 * k + 2 * (i % 2) + i / 2] * (1 + 1.0f / 4096));
    }
    return f;
  }
  static DEVICE void pack(const float (&y)[4], u32* to) {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = tf32_of(y[i]);
  }
  template <int pass> static DEVICE void multiply(float (&sum)[4], const Factors& f, const u32* y) {
    mma_tf32(sum, f.large[0], y);
    mma_tf32(sum, f.large[1], y + 2);
  }
};
// The product of the small halves is less than what float32 keeps.
struct Tf32x3 {
  static constexpr int planes = 2, words = 4, passes = 3;
  static constexpr bool promotes = true;
  struct Factors { u32 large[2][4], small[2][4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float v = x[4 * k + 2 * (i % 2) + i / 2];
        f.large[k][i] = tf32_near(v);
        f.small[k][i] = bits_of_float(v - float_of_bits(f.large[k][i]));
      }
    }
    return f;
  }
  static DEVICE void pack(const float (&y)[4], u32* to) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      to[i] = tf32_of(y[i]);
      to[i + 32 * words] = tf32_of(y[i] - float_of_bits(to[i]));
    }
  }
  template <int pass> static DEVICE void multiply(float (&sum)[4], const Factors& f, const u32* y) {
    const u32(&x)[2][4] = pass == 0 ? f.small : f.large;
    const u32* const z = pass == 1 ? y + 4 : y;
    mma_tf32(sum, x[0], z);
    mma_tf32(sum, x[1], z + 2);
  }
};
struct Bf16 {
  static constexpr int planes = 1, words = 2, passes = 1;
  static constexpr bool promotes = false;
  struct Factors { u32 large[4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int i = 0; i < 4; ++i) f.large[i] = bf16_pair(x[2 * i], x[2 * i + 1]);
    return f;
  }
  static DEVICE void pack(const float (&y)[4], u32* to) {
    to[0] = bf16_pair(y[0], y[1]);
    to[1] = bf16_pair(y[2], y[3]);
  }
  template <int pass> static DEVICE void multiply(float (&sum)[4], const Factors& f, const u32* y) { mma_bf16(sum, f.large, y); }
};
// The halves of a factor that has been brought to the scale of float16: the larger one in the lower 16 bits.
DEVICE u32 fp16_halves(float x) {
  const u16 large = half_of_float(x);
  return (u32)large | (u32)half_of_float(x - float_of_half(large)) << 16;
}
// The gathered operand is split before it is gathered.
struct Fp16x3 {
  static constexpr int planes = 1, words = 4, passes = 3;
  static constexpr bool promotes = true;
  struct Factors { u32 large[4], small[4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const u32 first = bits_of_float(x[2 * i]), second = bits_of_float(x[2 * i + 1]);
      f.large[i] = joined_halves(first, second);
      f.small[i] = upper_halves(first, second);
    }
    return f;
  }
  static DEVICE void pack(const float (&y)[4], u32* to) {
    u32 halves[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) halves[i] = fp16_halves(y[i]);
    to[0] = joined_halves(halves[0], halves[1]);
    to[1] = joined_halves(halves[2], halves[3]);
    to[2] = upper_halves(halves[0], halves[1]);
    to[3] = upper_halves(halves[2], halves[3]);
  }
  template <int pass> static DEVICE void multiply(float (&sum)[4], const Factors& f, const u32* y) {
    mma_fp16(sum, pass == 0 ? f.small : f.large, pass == 1 ? y + 2 : y);
  }
};
struct Fp16 {
  static constexpr int planes = 1, words = 2, passes = 1;
  static constexpr bool promotes = false;
  struct Factors { u32 large[4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int i = 0; i < 4; ++i) f.large[i] = fp16_pair(x[2 * i], x[2 * i + 1]);
    return f;
  }
  static DEVICE void pack(const float (&y)[4], u32* to) {
    to[0] = fp16_pair(y[0], y[1]);
    to[1] = fp16_pair(y[2], y[3]);
  }
  template <int pass> static DEVICE void multiply(float (&sum)[4], const Factors& f, const u32* y) { mma_fp16(sum, f.large, y); }
};

// The cut of a tile of the gathered operand among threads.
template <class C> struct GatheredTile {
  using Value = typename C::Value;
  // Neighbours in shared memory are rows, or depths; the pitch keeps a warp's reads in different banks.
  static constexpr int pitch = C::lanes_are_rows ? C::tile_rows + 4 : C::tile_depth + (C::is_tensor_core ? 8 : 1);
  static constexpr int count = C::lanes_are_rows ? C::tile_depth * pitch : C::tile_rows * pitch;
  static constexpr int packs = (C::lanes_are_rows ? C::tile_rows : C::tile_depth) / C::width;
  static constexpr int lanes = packs < C::threads ? packs : C::threads;
  static constexpr int steps = packs / lanes;  // along the lanes
  static constexpr int others = C::threads / lanes;
  static constexpr int other_steps = (C::lanes_are_rows ? C::tile_depth : C::tile_rows) / others;
  static constexpr int table = C::lanes_are_rows ? (C::has_chunks ? 0 : C::most_depth) : C::tile_rows;  // spots
  static constexpr int staged = C::is_staged ? steps * other_steps * C::width : 1;
  static DEVICE int at(int row, int depth) { return C::lanes_are_rows ? depth * pitch + row : row * pitch + depth; }
};

template <class C> struct Gather {
  using T = GatheredTile<C>;
  using Value = typename C::Value;
  using Element = typename C::Element;
  using Where = Spot<C::bounds>;
  const Element* from;
  const typename C::Part& part;
  Where* table;
  bool is_aligned;
  int lane, other;
  Where rows[C::lanes_are_rows ? T::steps : 1];
  u32 taps[C::lanes_are_rows ? T::steps : 1];  // a bit for each tap whose element exists; or for the row
  i32 first_row;
  Value staged[T::staged];

  DEVICE Gather(const Element* gathered, const typename C::Part& p, Where* spots, i32 row) : from(gathered), part(p), table(spots), first_row(row) {
    lane = (int)threadIdx.x % T::lanes;
    other = (int)threadIdx.x / T::lanes;
    is_aligned = C::width == 1 || ((u64)gathered & 15) == 0;
    if constexpr (C::lanes_are_rows) {
#pragma unroll
      for (int i = 0; i < T::steps; ++i) {
        const i32 r = row + (lane + i * T::lanes) * C::width;
        const bool exists = r < C::rows(part);
        rows[i] = C::gathered_row(part, exists ? r : 0);
        taps[i] = exists;
        if constexpr (C::has_masks) {
          taps[i] = 0;
          for (int tap = 0; tap < C::taps(part); ++tap)
            taps[i] |= (u32)(exists && C::inside(part, rows[i], C::gathered_tap(part, tap))) << tap;
        }
      }
      if constexpr (!C::has_chunks) {
        for (int k = (int)threadIdx.x; k < C::depth(part); k += C::threads) table[k] = C::gathered_depth(part, k);
        block_barrier();
      }
    } else {
      for (int r = (int)threadIdx.x; r < C::tile_rows; r += C::threads)
        if (row + r < C::rows(part)) table[r] = C::gathered_row(part, row + r);
      block_barrier();
    }
  }

  DEVICE void fetch_one(SharedPlace to, int place, const Element* element, bool exists, int number) {
    constexpr int size = (int)sizeof(Value);
    if constexpr (C::is_staged) {
      staged[number] = exists ? C::value_of(*element) : (Value)0;
    } else if constexpr (C::width == 1) {
      copy_async<size>(to + place * size, element, exists);
    } else if (is_aligned) {
      copy_async<size * C::width>(to + place * size, element, exists);
    } else {
#pragma unroll
      for (int i = 0; i < C::width; ++i) copy_async<size>(to + (place + i) * size, element + i, exists);
    }
  }

  // This thread's share of a tile.
  // (Zeros where there is no such tile: with C::fetches_always no branch stands between copies and products.)
  DEVICE void fetch(i32 tile, bool is_tile, Value* tile_memory) {
    int number = 0;
    const SharedPlace to = shared_place(tile_memory + (C::lanes_are_rows ? T::at(lane * C::width, other) : T::at(other, lane * C::width)));
    if constexpr (C::lanes_are_rows && C::has_chunks) {
      const i32 chunk = tile / C::taps(part), tap = tile - chunk * C::taps(part);
      const Where w = C::gathered_tap(part, tap);
      const i32 first = chunk * C::tile_depth;
#pragma unroll
      for (int i = 0; i < T::steps; ++i) {
        const bool exists =
            is_tile && (C::has_masks ? (taps[i] >> tap & 1u) != 0 : taps[i] != 0 && C::inside(part, rows[i], w));
        const Element* const row = from + (rows[i].offset + w.offset + (first + other) * C::channel_stride(part));
#pragma unroll
        for (int j = 0; j < T::other_steps; ++j) {
          const int k = other + j * T::others;
          fetch_one(to, T::at(i * T::lanes * C::width, j * T::others), row + (i64)(j * T::others) * C::channel_stride(part),
                    exists && (C::has_full_chunks || first + k < C::channels(part)), number++);
        }
      }
    } else if constexpr (C::lanes_are_rows) {
#pragma unroll
      for (int j = 0; j < T::other_steps; ++j) {
        const int k = other + j * T::others;
        const bool is_there = is_tile && (C::has_full_chunks || tile * C::tile_depth + k < C::depth(part));
        const Where w = table[is_there ? tile * C::tile_depth + k : 0];
#pragma unroll
        for (int i = 0; i < T::steps; ++i) {
          fetch_one(to, T::at(i * T::lanes * C::width, j * T::others), from + (rows[i].offset + w.offset),
                    is_there && taps[i] != 0 && C::inside(part, rows[i], w), number++);
        }
      }
    } else {
#pragma unroll
      for (int i = 0; i < T::steps; ++i) {
        const i32 k = tile * C::tile_depth + (lane + i * T::lanes) * C::width;
        const bool is_there = is_tile && k < C::depth(part);
        const Where w = C::gathered_depth(part, is_there ? k : 0);
#pragma unroll
        for (int j = 0; j < T::other_steps; ++j) {
          const int r = other + j * T::others;
          const bool is_row = C::has_full_rows || first_row + r < C::rows(part);
          const Where row = table[is_row ? r : 0];
          fetch_one(to, T::at(j * T::others, i * T::lanes * C::width), from + (row.offset + w.offset), is_there && is_row && C::inside(part, row, w),
                    number++);
        }
      }
    }
  }
  DEVICE void put(Value* to) const {
    if constexpr (C::is_staged) {
      int number = 0;
#pragma unroll
      for (int j = 0; j < (C::lanes_are_rows && !C::has_chunks ? T::other_steps : T::steps); ++j) {
#pragma unroll
        for (int i = 0; i < (C::lanes_are_rows && !C::has_chunks ? T::steps : T::other_steps); ++i) {
          const int along = C::lanes_are_rows && !C::has_chunks ? i : j, across = C::lanes_are_rows && !C::has_chunks ? j : i;
          const int l = lane + along * T::lanes, o = other + across * T::others;
          to[C::lanes_are_rows ? T::at(l, o) : T::at(o, l)] = staged[number++];
        }
      }
    }
  }
};

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
