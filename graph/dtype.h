#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// IEEE 754 binary16, storage only: arithmetic goes through float.
struct CROTON_API float16 {
  std::uint16_t bits = 0;
  float16() = default;
  explicit float16(float value);
  operator float() const;
};

/// The upper half of a binary32 (8 bits of exponent, 7 of fraction), storage only; rounds to nearest even.
struct bfloat16 {
  std::uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float value) {
    std::uint32_t u;
    std::memcpy(&u, &value, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<std::uint16_t>((u >> 16) | 0x40u);  // a NaN stays a NaN, made quiet
    } else {
      bits = static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  operator float() const {
    std::uint32_t u = static_cast<std::uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &u, sizeof value);
    return value;
  }
};

/// Element types. complex64 and complex128 exist in types and in the text form only; ops refuse them.
enum class DType : std::uint8_t {
  bool_,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float16,
  bfloat16,
  float32,
  float64,
  complex64,
  complex128,
};
inline constexpr int dtype_count = 15;

/// Bytes of one element.
CROTON_API std::size_t size_of(DType dtype);
/// "float32", "bool", …: NumPy's names.
CROTON_API std::string_view name_of(DType dtype);
/// The dtype of that name, or nothing.
CROTON_API std::optional<DType> parse_dtype(std::string_view name);

inline constexpr bool is_bool(DType t) { return t == DType::bool_; }
inline constexpr bool is_signed_integer(DType t) { return t >= DType::int8 && t <= DType::int64; }
inline constexpr bool is_unsigned_integer(DType t) { return t >= DType::uint8 && t <= DType::uint64; }
inline constexpr bool is_integer(DType t) { return t >= DType::int8 && t <= DType::uint64; }
/// bool or integer.
inline constexpr bool is_discrete(DType t) { return t <= DType::uint64; }
inline constexpr bool is_floating(DType t) { return t >= DType::float16 && t <= DType::float64; }
inline constexpr bool is_complex(DType t) { return t >= DType::complex64; }

/// The dtype that arithmetic on both gives. An integer with a floating operand gives the floating dtype;
/// float16 with bfloat16 gives float32; otherwise NumPy's promotion (int64 with uint64 gives float64).
CROTON_API DType promote(DType a, DType b);

/// The C++ type of a dtype and back.
template <class T>
struct DTypeOf;
#define CROTON_DTYPE_OF(type, name)             \
  template <>                                   \
  struct DTypeOf<type> {                        \
    static constexpr DType value = DType::name; \
  };
CROTON_DTYPE_OF(bool, bool_)
CROTON_DTYPE_OF(std::int8_t, int8)
CROTON_DTYPE_OF(std::int16_t, int16)
CROTON_DTYPE_OF(std::int32_t, int32)
CROTON_DTYPE_OF(std::int64_t, int64)
CROTON_DTYPE_OF(std::uint8_t, uint8)
CROTON_DTYPE_OF(std::uint16_t, uint16)
CROTON_DTYPE_OF(std::uint32_t, uint32)
CROTON_DTYPE_OF(std::uint64_t, uint64)
CROTON_DTYPE_OF(float16, float16)
CROTON_DTYPE_OF(bfloat16, bfloat16)
CROTON_DTYPE_OF(float, float32)
CROTON_DTYPE_OF(double, float64)
CROTON_DTYPE_OF(std::complex<float>, complex64)
CROTON_DTYPE_OF(std::complex<double>, complex128)
#undef CROTON_DTYPE_OF
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

template <class T>
struct Tag {
  using type = T;
};

/// Calls f(Tag<T>{}) with the C++ type of a real dtype: `visit_dtype(t, [&](auto tag) { using T = typename
/// decltype(tag)::type; … })`. Complex dtypes end in an InternalError: ops refuse them when a node is made.
template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f);

[[noreturn]] CROTON_API void throw_complex_not_supported();

template <class F>
decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::bool_:
      return f(Tag<bool>{});
    case DType::int8:
      return f(Tag<std::int8_t>{});
    case DType::int16:
      return f(Tag<std::int16_t>{});
    case DType::int32:
      return f(Tag<std::int32_t>{});
    case DType::int64:
      return f(Tag<std::int64_t>{});
    case DType::uint8:
      return f(Tag<std::uint8_t>{});
    case DType::uint16:
      return f(Tag<std::uint16_t>{});
    case DType::uint32:
      return f(Tag<std::uint32_t>{});
    case DType::uint64:
      return f(Tag<std::uint64_t>{});
    case DType::float16:
      return f(Tag<float16>{});
    case DType::bfloat16:
      return f(Tag<bfloat16>{});
    case DType::float32:
      return f(Tag<float>{});
    case DType::float64:
      return f(Tag<double>{});
    default:
      throw_complex_not_supported();
  }
}

}  // namespace croton
