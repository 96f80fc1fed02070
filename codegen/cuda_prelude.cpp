#include "croton/codegen/cuda_prelude.h"

namespace croton {

std::string_view cuda_device_prelude() {
  return R"cuda(
#define DEVICE __device__ __forceinline__
#define SHARED extern __shared__ __align__(16) unsigned char shared_memory[];
#define ASSUME_ALIGNED(p) __builtin_assume(((u64)(p) & 15) == 0)
typedef signed char i8; typedef short i16; typedef int i32; typedef long long i64;
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
DEVICE float float_of_bits(u32 x) { return __uint_as_float(x); }
DEVICE u32 bits_of_float(float x) { return __float_as_uint(x); }
DEVICE double double_of_bits(u64 x) { return __longlong_as_double((i64)x); }
DEVICE u64 bits_of_double(double x) { return (u64)__double_as_longlong(x); }
DEVICE float float_of_half(u16 x) { float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x)); return y; }
DEVICE u16 half_of_float(float x) { u16 y; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x)); return y; }
DEVICE u16 bfloat_of_float(float x) { u16 y; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y) : "f"(x)); return y; }
DEVICE float smaller(float a, float b) {
  float c;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));
  return c == a ? a : c;  // of two zeros the first
}
DEVICE float larger(float a, float b) {
  float c;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));
  return c == a ? a : c;
}
// Of integers below 32 bits in 32: ptxas 13.0 takes the wrong predicate where a minimum of 16 bits, of which one
// side is 0, is compared with 0 (sm_90).
DEVICE i32 smaller_word(i32 a, i32 b) { i32 c; asm("min.s32 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b)); return c; }
DEVICE i32 larger_word(i32 a, i32 b) { i32 c; asm("max.s32 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b)); return c; }
DEVICE i8 smaller(i8 a, i8 b) { return (i8)smaller_word(a, b); }
DEVICE u8 smaller(u8 a, u8 b) { return (u8)smaller_word(a, b); }
DEVICE i16 smaller(i16 a, i16 b) { return (i16)smaller_word(a, b); }
DEVICE u16 smaller(u16 a, u16 b) { return (u16)smaller_word(a, b); }
DEVICE i8 larger(i8 a, i8 b) { return (i8)larger_word(a, b); }
DEVICE u8 larger(u8 a, u8 b) { return (u8)larger_word(a, b); }
DEVICE i16 larger(i16 a, i16 b) { return (i16)larger_word(a, b); }
DEVICE u16 larger(u16 a, u16 b) { return (u16)larger_word(a, b); }
DEVICE void block_barrier() { __syncthreads(); }
DEVICE void group_barrier(u32 mask) { __syncwarp(mask); }
// For all threads of every block at its end. What other blocks have written is there for the last one.
DEVICE bool is_last_of(u32* arrived, u32 blocks) {
  __shared__ bool is_last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    is_last = atomicInc(arrived, blocks - 1) == blocks - 1;  // 0 again behind the last
    __threadfence();
  }
  __syncthreads();
  return is_last;
}
DEVICE bool is_last_block(u32* arrived) { return is_last_of(arrived, gridDim.x); }
DEVICE u32 shuffle(u32 x, int lane, u32 mask) { return __shfl_xor_sync(mask, x, lane); }
)cuda";
}

std::string_view cuda_prelude() {
  return R"cuda(
template <class T, int n> struct alignas(sizeof(T) * n) Pack { T at[n]; };
template <int n, class T> DEVICE Pack<T, n> load_pack(const T* p) { return *reinterpret_cast<const Pack<T, n>*>(p); }
template <int n, class T> DEVICE void store_pack(T* p, const Pack<T, n>& x) { *reinterpret_cast<Pack<T, n>*>(p) = x; }

DEVICE i32 shuffle(i32 x, int lane, u32 mask) { return (i32)shuffle((u32)x, lane, mask); }
DEVICE bool shuffle(bool x, int lane, u32 mask) { return shuffle((u32)x, lane, mask) != 0; }
DEVICE i8 shuffle(i8 x, int lane, u32 mask) { return (i8)shuffle((u32)x, lane, mask); }
DEVICE u8 shuffle(u8 x, int lane, u32 mask) { return (u8)shuffle((u32)x, lane, mask); }
DEVICE i16 shuffle(i16 x, int lane, u32 mask) { return (i16)shuffle((u32)x, lane, mask); }
DEVICE u16 shuffle(u16 x, int lane, u32 mask) { return (u16)shuffle((u32)x, lane, mask); }
DEVICE float shuffle(float x, int lane, u32 mask) { return float_of_bits(shuffle(bits_of_float(x), lane, mask)); }
DEVICE u64 shuffle(u64 x, int lane, u32 mask) {
  return (u64)shuffle((u32)x, lane, mask) | (u64)shuffle((u32)(x >> 32), lane, mask) << 32;
}
DEVICE i64 shuffle(i64 x, int lane, u32 mask) { return (i64)shuffle((u64)x, lane, mask); }
DEVICE double shuffle(double x, int lane, u32 mask) { return double_of_bits(shuffle(bits_of_double(x), lane, mask)); }

DEVICE bool holds_nan(float x) { return x != x; }
DEVICE bool holds_nan(double x) { return x != x; }
template <class T> DEVICE bool holds_nan(T) { return false; }
DEVICE bool holds_infinity(float x) { return fabsf(x) == float_of_bits(0x7f800000u); }
DEVICE bool holds_infinity(double x) { return fabs(x) == double_of_bits(0x7ff0000000000000ull); }
template <class T> DEVICE bool holds_infinity(T) { return false; }

DEVICE float float_of_bfloat(u16 x) { return float_of_bits((u32)x << 16); }
DEVICE float odd_float(double x) {
  const float nearest = (float)x;
  if (holds_infinity(nearest) || nearest != nearest || (double)nearest == x) return nearest;
  const u32 bits = bits_of_float(nearest);
  if (bits & 1u) return nearest;
  return float_of_bits(fabs((double)nearest) > fabs(x) ? bits - 1 : bits + 1);
}
template <class To, class From> DEVICE To integer_of(From x, From above, From below, To most, To least) {
  return x != x ? (To)0 : x >= above ? most : x <= below ? least : (To)x;
}

template <class T> DEVICE T smaller(T a, T b) { return b < a ? b : a; }
template <class T> DEVICE T larger(T a, T b) { return a < b ? b : a; }
DEVICE double smaller(double a, double b) { return b < a || b != b ? (a != a ? a : b) : a; }
DEVICE double larger(double a, double b) { return a < b || b != b ? (a != a ? a : b) : a; }
template <class T> DEVICE T sign_of(T x) { return (T)(x > (T)0 ? 1 : x < (T)0 ? -1 : 0); }
DEVICE float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? 0.0f : x; }
DEVICE double sign_of(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x == 0 ? 0.0 : x; }

template <class T> DEVICE T negative(T x) { return (T)(0ull - (u64)x); }
template <class T> DEVICE T floor_mod(T a, T b) {
  if (b == 0) return 0;
  if ((T)-1 > (T)0) return (T)(a % b);
  if (b == (T)-1) return 0;
  const T r = (T)(a % b);
  return r != 0 && (r < 0) != (b < 0) ? (T)(r + b) : r;
}
template <class T> DEVICE T floor_div(T a, T b) {
  if (b == 0) return 0;
  if ((T)-1 > (T)0) return (T)(a / b);
  if (b == (T)-1) return negative(a);
  const T q = (T)(a / b);
  return a % b != 0 && (a < 0) != (b < 0) ? (T)(q - 1) : q;
}
DEVICE float floor_mod(float a, float b) {
  const float r = fmodf(a, b);
  return r == 0 ? copysignf(0.0f, b) : (r < 0) != (b < 0) ? r + b : r;
}
DEVICE double floor_mod(double a, double b) {
  const double r = fmod(a, b);
  return r == 0 ? copysign(0.0, b) : (r < 0) != (b < 0) ? r + b : r;
}
DEVICE float floor_div(float a, float b) {
  if (b == 0 || a != a || b != b) return a / b;
  if (holds_infinity(a)) return float_of_bits(0x7fc00000u);
  const float r = fmodf(a, b);
  float q = (a - r) / b;
  if (r != 0 && (r < 0) != (b < 0)) q -= 1;
  if (q == 0) return copysignf(0.0f, a / b);
  const float whole = floorf(q);
  return q - whole > 0.5f ? whole + 1 : whole;
}
DEVICE double floor_div(double a, double b) {
  if (b == 0 || a != a || b != b) return a / b;
  if (holds_infinity(a)) return double_of_bits(0x7ff8000000000000ull);
  const double r = fmod(a, b);
  double q = (a - r) / b;
  if (r != 0 && (r < 0) != (b < 0)) q -= 1;
  if (q == 0) return copysign(0.0, a / b);
  const double whole = floor(q);
  return q - whole > 0.5 ? whole + 1 : whole;
}
template <class T> DEVICE T power(T a, T b) {
  if (b < (T)0) return a == (T)1 ? (T)1 : a == (T)-1 ? (b % 2 == 0 ? (T)1 : (T)-1) : (T)0;
  T result = 1;
  for (u64 left = (u64)b; left != 0; left >>= 1) {
    if (left & 1) result = (T)((u64)result * (u64)a);
    a = (T)((u64)a * (u64)a);
  }
  return result;
}
template <class T> DEVICE T shift_left(T a, T b) {
  return b < (T)0 || b >= (T)(8 * sizeof(T)) ? (T)0 : (T)((u64)a << b);
}
template <class T> DEVICE T shift_right(T a, T b) {
  return b < (T)0 || b >= (T)(8 * sizeof(T)) ? (T)(a < (T)0 ? -1 : 0) : (T)(a >> b);
}

DEVICE float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x < 0 ? e : 1.0f) / (1 + e);
}
DEVICE double sigmoid(double x) {
  const double e = exp(-fabs(x));
  return (x < 0 ? e : 1.0) / (1 + e);
}
DEVICE float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }
DEVICE double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

DEVICE double digamma_above_0(double x) {
  double below = 0;
  for (; x < 10; ++x) below -= 1 / x;
  const double s = 1 / (x * x);
  return below + log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 -
         s * (691.0 / 32760 - s / 12))))));
}
DEVICE double digamma(double x) {
  if (x != x || x == double_of_bits(0x7ff0000000000000ull)) return x;
  if (x == 0) return copysign(double_of_bits(0x7ff0000000000000ull), -x);
  if (x > 0) return digamma_above_0(x);
  const double fraction = x - floor(x);
  if (fraction == 0) return double_of_bits(0x7ff8000000000000ull);
  const double pi = 3.14159265358979323846;
  return digamma_above_0(1 - x) - pi / tan(pi * fraction);
}
)cuda";
}

}  // namespace croton
