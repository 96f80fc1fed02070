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

// The products of one tile. While those of the first rows are made, the factors of the next are brought, and fetch()
// begins copies of another tile.
template <class C, class S, class Fetch> DEVICE void multiply_by_groups(S& s, const float* gathered, const u32* packed, const Fetch& fetch) {
  using A = typename C::Arithmetic;
  using P = PackedTile<C>;
  constexpr int steps = C::tile_depth / 16;
  static_assert(C::row_units <= 2, "as many as are waited for");
  const int first = s.first_row + s.lane / 4, d = s.lane % 4 * 2;
  const SharedPlace columns = shared_place(packed) + s.first_column / 8 * P::unit * 4;
  typename A::Factors x[C::row_units][steps];
  float part[A::promotes ? C::row_units : 1][C::column_units][4];
#pragma unroll
  for (int i = 0; i < C::row_units; ++i) {
#pragma unroll
    for (int k = 0; k < steps; ++k) x[i][k] = s.gathered_factors(gathered, first + 16 * i, 16 * k + d);
    group_begins();
    float(&to)[C::column_units][4] = A::promotes ? part[A::promotes ? i : 0] : s.sum[i];
#pragma unroll
    for (int k = 0; k < steps; ++k) {
      const SharedPlace unit = columns + k * P::row_words * 4;
      group_products<0>(to, x[i][k], unit, !A::promotes || k > 0);
      if constexpr (A::passes == 3) {
        group_products<1>(to, x[i][k], unit, true);
        group_products<2>(to, x[i][k], unit, true);
      }
    }
    group_ends();
    if (i == 0) fetch();
  }
  const auto take = [&](int i) {
#pragma unroll
    for (int k = 0; k < steps; ++k) group_keep_factors(x[i][k]);
    if constexpr (A::promotes) {
      group_keep(part[i]);
      S::add(s.sum[i], part[i]);
    } else {
      group_keep(s.sum[i]);
    }
  };
  if constexpr (C::row_units == 2) {
    group_wait<1>();
    take(0);
  }
  group_wait<0>();
  take(C::row_units - 1);
}
)cuda";
}

}  // namespace croton
