// Products of four warps at once (wgmma, compute capability 9.0): the gathered operand's factors come from
// registers, those of the packed one straight from shared memory, and the warps go on meanwhile. PTX ISA,
// "Asynchronous warpgroup level matrix instructions".

#include <fmt/format.h>

#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

namespace {

/// wgmma.mma_async of 64 rows and 8 * units columns. `type`: of the factors; `after`: what its operands end
/// with.
std::string group_product(std::string_view type, int depth, int units, std::string_view after) {
  const int sums = 4 * units;
  std::string registers, operands;
  for (int i = 0; i < sums; ++i) {
    registers += fmt::format("{}%{}", i == 0 ? "" : ",", i);
    operands += fmt::format("{}\"+f\"(d[{}][{}])", i == 0 ? "" : ",", i / 4, i % 4);
  }
  return fmt::format(
      "DEVICE void group_mma_{0}(float (&d)[{1}][4], const u32* a, SharedPlace b, int pitch, bool adds) {{\n"
      "  asm volatile(\"{{.reg .pred p; setp.ne.b32 p, %{2}, 0; "
      "wgmma.mma_async.sync.aligned.m64n{3}k{4}.f32.{0}.{0} "
      "{{{5}}}, {{%{6},%{7},%{8},%{9}}}, %{10}, p, 1, 1{11};}}\" : {12} : \"r\"(a[0]), \"r\"(a[1]), "
      "\"r\"(a[2]), "
      "\"r\"(a[3]), \"l\"(group_operand(b, pitch)), \"r\"((int)adds));\n}}\n",
      type, units, sums + 5, 8 * units, depth, registers, sums, sums + 1, sums + 2, sums + 3, sums + 4, after,
      operands);
}

std::string device_text() {
  std::string text = R"cuda(
// For the four warps of this number.
DEVICE void warpgroup_barrier(i32 number) { asm volatile("bar.sync %0, 128;" ::"r"(number + 1) : "memory"); }
// Registers of products that are waited for: neither read nor given to others before.
template <int count, class T> DEVICE void group_keep(T (&x)[count]) {
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < count; ++i) asm volatile("" : "+r"(reinterpret_cast<u32&>(x[i]))::"memory");
  } else {
#pragma unroll
    for (int i = 0; i < count; ++i) group_keep(x[i]);
  }
}
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
// The packed operand in shared memory: 8 columns x 16 bytes lie together, the next 16 bytes of depth behind them, the
// next 8 columns `pitch` bytes on.
DEVICE u64 group_operand(SharedPlace place, int pitch) {
  return (u64)((place & 0x3ffff) >> 4) | (u64)(128 >> 4) << 16 | (u64)(pitch >> 4) << 32;
}
// What ordinary accesses have left in shared memory is there for products.
DEVICE void group_sees_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
DEVICE void group_begins() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void group_ends() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int left> DEVICE void group_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory"); }
)cuda";
  for (const int units : warpgroup_column_units) {
    text += group_product("tf32", 8, units, "");
    text += group_product("bf16", 16, units, ", 0");
    text += group_product("f16", 16, units, ", 0");
  }
  return text + "#else\nDEVICE void group_sees_shared() {}\n#endif\n";
}

}  // namespace

std::string_view warpgroup_device_prelude() {
  static const std::string text = device_text();
  return text;
}

std::string_view contraction_warpgroups() {
  return R"cuda(
// Factors of 16 depths: their products with a lane's part of 64 rows. `y`: the packed operand's unit.
template <int pass, int units> DEVICE void group_products(float (&sum)[units][4], const Tf32::Factors& f, SharedPlace y, bool adds) {
  group_mma_tf32(sum, f.large[0], y, 512, adds);
  group_mma_tf32(sum, f.large[1], y + 256, 512, true);
}
template <int pass, int units> DEVICE void group_products(float (&sum)[units][4], const Tf32x3::Factors& f, SharedPlace y, bool adds) {
  const u32(&x)[2][4] = pass == 0 ? f.small : f.large;
  const SharedPlace z = pass == 1 ? y + 512 : y;
  group_mma_tf32(sum, x[0], z, 1024, adds);
  group_mma_tf32(sum, x[1], z + 256, 1024, true);
}
template <int pass, int units> DEVICE void group_products(float (&sum)[units][4], const Bf16::Factors& f, SharedPlace y, bool adds) {
  group_mma_bf16(sum, f.large, y, 256, adds);
}
template <int pass, int units> DEVICE void group_products(float (&sum)[units][4], const Fp16::Factors& f, SharedPlace y, bool adds) {
  group_mma_f16(sum, f.large, y, 256, adds);
}
template <int pass, int units> DEVICE void group_products(float (&sum)[units][4], const Fp16x3::Factors& f, SharedPlace y, bool adds) {
  group_mma_f16(sum, pass == 0 ? f.small : f.large, pass == 1 ? y + 256 : y, 512, adds);
}
DEVICE void group_keep_factors(Tf32::Factors& f) { group_keep(f.large); }
DEVICE void group_keep_factors(Tf32x3::Factors& f) { group_keep(f.large); group_keep(f.small); }
DEVICE void group_keep_factors(Bf16::Factors& f) { group_keep(f.large); }
DEVICE void group_keep_factors(Fp16::Factors& f) { group_keep(f.large); }
DEVICE void group_keep_factors(Fp16x3::Factors& f) { group_keep(f.large); group_keep(f.small); }

// The products of one tile. factors(k): this lane's of 16 depths k; fetch() begins copies of another tile meanwhile.
template <class C, class S, class Factors, class Fetch>
DEVICE void multiply_by_groups(S& s, const Factors& factors, const u32* packed, const Fetch& fetch) {
  using A = typename C::Arithmetic;
  using P = PackedTile<C>;
  constexpr int steps = C::tile_depth / 16;
  static_assert(C::row_units == 1, "16 rows a warp");
  const SharedPlace columns = shared_place(packed);  // the same for all threads
  typename A::Factors x[steps];
#pragma unroll
  for (int k = 0; k < steps; ++k) x[k] = factors(k);
  float part[C::column_units][4];
  float(&to)[C::column_units][4] = C::adds_up_tiles ? part : s.sum[0];
  const auto unit = [&](int k) { return columns + k * P::row_words * 4; };
  group_begins();
  // Products of small halves before those of large ones: what is cut from a sum is cut from a small one.
#pragma unroll
  for (int k = 0; k < steps; ++k) group_products<0>(to, x[k], unit(k), !C::adds_up_tiles || k > 0);
  if constexpr (A::passes == 3) {
#pragma unroll
    for (int k = 0; k < steps; ++k) group_products<1>(to, x[k], unit(k), true);
#pragma unroll
    for (int k = 0; k < steps; ++k) group_products<2>(to, x[k], unit(k), true);
  }
  group_ends();
  fetch();
  group_wait<0>();
#pragma unroll
  for (int k = 0; k < steps; ++k) group_keep_factors(x[k]);
  group_keep(to);
  if constexpr (C::adds_up_tiles) S::add(s.sum[0], part);
}

// The part of the padded images that the rows of a block reach, a channel behind the other in shared memory: every
// channel, or those of a tile's depth, two such tiles in turn. It is fetched once for all taps.
template <class C> struct Patch {
  using Element = typename C::Element;
  using Value = typename C::Value;
  static constexpr int pitch = C::patch_pitch, zeros = C::patch_channels * pitch;
  const Element* from;
  const typename C::Part& part;
  i32* spots;   // of positions in the gathered operand; -1: padding
  i32* depths;  // where depths are, from the place of a row on
  Value* memory;
  const Value* of_tile[2];  // this lane's rows, at the tile's channels under its tap
  const i32* depths_of_tile;
  i32 begin, lane_depth;
  i32 rows[2];  // places of this lane's rows

  template <class Table> DEVICE Patch(const Element* gathered, const typename C::Part& p, Table* table, i32 row)
      : from(gathered), part(p), spots(reinterpret_cast<i32*>(table)), depths(spots + pitch), lane_depth((i32)threadIdx.x % 4 * 2) {
    const i32 lane_row = row + (i32)threadIdx.x / 32 * 16 + (i32)threadIdx.x % 32 / 4;
    const i32 first = C::padded_row(part, row).offset;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const i32 r = lane_row + 8 * i;
      rows[i] = r < C::rows(part) ? C::padded_row(part, r).offset - first + C::padded_base(part) : C::padded_base(part);
    }
    for (i32 i = (i32)threadIdx.x; i < C::patch_positions; i += C::threads) {
      const bool is_padded = first + i < C::padded_count(part);
      const auto s = C::padded_source(part, is_padded ? first + i : 0);
      spots[i] = is_padded && C::has_source(part, s, Spot<C::patch_bounds>{}) ? s.offset : -1;
    }
    if constexpr (!C::has_chunks) {
      for (i32 k = (i32)threadIdx.x; k < C::depth_tiles(part) * C::tile_depth; k += C::threads) {
        const i32 channel = k / C::taps(part);
        depths[k] = k < C::depth(part) ? channel * pitch + C::padded_tap(part, k - channel * C::taps(part)).offset : zeros;
      }
    }
  }
  // From tile `first` on, in this memory.
  DEVICE void keep(Value* place, i32 first) {
    memory = place;
    begin = first;
#pragma unroll
    for (int i = 0; i < 2; ++i) of_tile[i] = memory + rows[i];
    if constexpr (!C::has_chunks) {
      for (i32 i = (i32)threadIdx.x; i < pitch; i += C::threads) memory[zeros + i] = 0;
    }
    block_barrier();
  }
  DEVICE void copy(i32 first_channel, i32 channels, Value* to) const {
    const i64 stride = C::channel_stride(part);
    for (i32 i = (i32)threadIdx.x; i < C::patch_positions; i += C::threads) {
      const i32 spot = spots[i];
      const Element* const source = from + (spot < 0 ? 0 : spot) + first_channel * stride;
      const SharedPlace place = shared_place(to + i);
#pragma unroll 8
      for (i32 c = 0; c < channels; ++c) {
        const bool exists = spot >= 0 && (!C::has_chunks || C::has_full_chunks || first_channel + c < C::channels(part));
        copy_async<4>(place + c * pitch * 4, exists ? source + c * stride : from, exists);
      }
    }
  }
  DEVICE void fetch(i32 tile, bool is_tile, Value*) {
    if (!is_tile) return;
    if constexpr (C::has_chunks) {
      const i32 chunk = tile / C::taps(part);
      if (tile == begin || tile == chunk * C::taps(part)) copy(chunk * C::tile_depth, C::tile_depth, memory + chunk % 2 * zeros);
    } else {
      if (tile == begin) copy(0, C::channels(part), memory);
    }
  }
  DEVICE void put(Value*) const {}
  DEVICE void turn_to(i32 tile) {
    if constexpr (C::has_chunks) {
      const i32 chunk = tile / C::taps(part);
      const Value* const at = memory + chunk % 2 * zeros + C::padded_tap(part, tile - chunk * C::taps(part)).offset + lane_depth * pitch;
#pragma unroll
      for (int i = 0; i < 2; ++i) of_tile[i] = at + rows[i];
    } else {
      depths_of_tile = depths + tile * C::tile_depth + lane_depth;
    }
  }
  // This lane's factors of 16 depths k.
  DEVICE typename C::Arithmetic::Factors factors(int k) const {
    float v[8];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const i32 depth = 16 * k + 8 * half;
      Pack<i32, 2> at;
      if constexpr (C::has_chunks) {
        at.at[0] = depth * pitch;
        at.at[1] = (depth + 1) * pitch;
      } else {
        at = load_pack<2>(depths_of_tile + depth);
      }
#pragma unroll
      for (int upper = 0; upper < 2; ++upper)
#pragma unroll
        for (int d = 0; d < 2; ++d) v[4 * half + 2 * upper + d] = of_tile[upper][at.at[d]];
    }
    return C::Arithmetic::split(v);
  }
};
template <class C, bool has_patch> struct PatchOrTiles { typedef Patch<C> Type; };
template <class C> struct PatchOrTiles<C, false> { typedef Gather<C> Type; };
template <class C> struct Gathering : PatchOrTiles<C, C::has_patch> {};
template <class C> DEVICE constexpr int gathered_bytes(int of_tiles) {
  if constexpr (C::has_patch) return C::patch_bytes;
  return of_tiles;
}
)cuda";
}

}  // namespace croton
