#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

std::string_view contraction_device_prelude() {
  static const std::string text = std::string(R"cuda(
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
)cuda") + std::string(warpgroup_device_prelude());
  return text;
}

std::string_view contraction_prelude() {
  static const std::string text = [] {
    std::string joined;
    for (const std::string_view part :
         {contraction_gathering(), contraction_warpgroups(), contraction_products(), contraction_operands(),
          contraction_folding(), contraction_folding_in_blocks()}) {
      joined += part;
    }
    return joined;
  }();
  return text;
}

// A structure C says what is computed: constants of the cut, and functions from loop indices to places.
std::string_view contraction_gathering() {
  return R"cuda(
template <int bounds> struct alignas(bounds == 0 ? 4 : bounds == 1 ? 8 : 16) Spot {
  i32 offset;
  i32 at[bounds == 0 ? 1 : bounds];
};

// The nearest number of 11 significant bits. Of a number that is none, the difference to this is none either.
DEVICE u32 tf32_near(float x) { return (bits_of_float(x) + 0x1000u) & 0xffffe000u; }

// How tensor cores multiply; pack<pitch> puts the other operand's planes so many words apart. A lane has of 16 x 16 factors rows r and r + 8 (r = lane / 4) at depths d, d + 1, d + 8,
// d + 9 (d = 2 * (lane % 4)): x[0..1] row r at d, d + 1; x[2..3] row r + 8; x[4..7] the same at d + 8, d + 9. Of the
// other operand's 16 x 8 it has column lane / 4 at the same depths: y[0..3]. Sums at rows r, r + 8, columns d, d + 1.
struct Tf32 {
  static constexpr int planes = 1, words = 4, passes = 1;
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
  template <int pitch> static DEVICE void pack(const float (&y)[4], u32* to) {
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
  template <int pitch> static DEVICE void pack(const float (&y)[4], u32* to) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      to[i] = tf32_of(y[i]);
      to[i + pitch] = tf32_of(y[i] - float_of_bits(to[i]));
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
  struct Factors { u32 large[4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int i = 0; i < 4; ++i) f.large[i] = bf16_pair(x[2 * i], x[2 * i + 1]);
    return f;
  }
  template <int pitch> static DEVICE void pack(const float (&y)[4], u32* to) {
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
  template <int pitch> static DEVICE void pack(const float (&y)[4], u32* to) {
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
  struct Factors { u32 large[4]; };
  static DEVICE Factors split(const float (&x)[8]) {
    Factors f;
#pragma unroll
    for (int i = 0; i < 4; ++i) f.large[i] = fp16_pair(x[2 * i], x[2 * i + 1]);
    return f;
  }
  template <int pitch> static DEVICE void pack(const float (&y)[4], u32* to) {
    to[0] = fp16_pair(y[0], y[1]);
    to[1] = fp16_pair(y[2], y[3]);
  }
  template <int pass> static DEVICE void multiply(float (&sum)[4], const Factors& f, const u32* y) { mma_fp16(sum, f.large, y); }
};

// The cut of a tile of the gathered operand among threads.
template <class C> struct GatheredTile {
  using Value = typename C::Value;
  static constexpr bool lanes_are_rows = C::lanes_are_rows;
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

// The other operand, where it is fetched as it lies, as a gathered one: with columns in the place of rows.
template <class C> struct OtherAsGathered : C {
  typedef typename C::Part Part;
  static constexpr i32 tile_rows = C::tile_columns, width = C::other_width, bounds = C::packed_bounds;
  static constexpr bool lanes_are_rows = C::other_lanes_are_columns, has_chunks = C::other_lanes_are_columns;
  static constexpr bool has_full_chunks = C::has_full_depth, has_full_rows = C::has_full_columns, has_masks = false;
  static DEVICE i32 rows(const Part&) { return C::columns; }
  static DEVICE i32 channel_stride(const Part& p) { return C::packed_channel_stride(p); }
  static DEVICE Spot<bounds> gathered_row(const Part& p, i32 i) { return C::packed_column(p, i); }
  static DEVICE Spot<bounds> gathered_depth(const Part& p, i32 i) { return C::packed_depth(p, i); }
  static DEVICE Spot<bounds> gathered_tap(const Part& p, i32 i) { return C::packed_tap(p, i); }
  static DEVICE bool inside(const Part& p, const Spot<bounds>& a, const Spot<bounds>& b) { return C::is_packed(p, a, b); }
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
  // Places of rows that are looked up in every tile.
  static constexpr bool keeps_rows = !C::lanes_are_rows && C::bounds == 0 && T::other_steps <= 16;
  i32 kept[keeps_rows ? T::other_steps : 1];

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
      if constexpr (keeps_rows) {
#pragma unroll
        for (int j = 0; j < T::other_steps; ++j) {
          const int r = other + j * T::others;
          kept[j] = table[C::has_full_rows || row + r < C::rows(part) ? r : 0].offset;
        }
      }
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
          Where row;
          if constexpr (keeps_rows)
            row.offset = kept[j];
          else
            row = table[is_row ? r : 0];
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

)cuda";
}

}  // namespace croton
