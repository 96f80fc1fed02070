#include "croton/graph/text_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <type_traits>

#include "croton/graph/tensor_cast.h"
#include "croton/graph/type.h"

namespace croton {
namespace {

template <class T>
struct Bits;
template <>
struct Bits<float16> : std::type_identity<std::uint16_t> {};
template <>
struct Bits<bfloat16> : std::type_identity<std::uint16_t> {};
template <>
struct Bits<float> : std::type_identity<std::uint32_t> {};
template <>
struct Bits<double> : std::type_identity<std::uint64_t> {};

template <class T>
inline constexpr bool is_float_type = std::is_floating_point_v<T> || is_half<T>;

/// The bits of the NaN that is written as plain "nan": quiet, positive, nothing else set.
template <class T>
typename Bits<T>::type plain_nan() {
  if constexpr (std::is_same_v<T, float16>) {
    return 0x7e00;
  } else if constexpr (std::is_same_v<T, bfloat16>) {
    return 0x7fc0;
  } else if constexpr (std::is_same_v<T, float>) {
    return 0x7fc00000u;
  } else {
    return 0x7ff8000000000000u;
  }
}

template <class T>
std::string floating_text(T value) {
  using Wide = std::conditional_t<is_half<T>, float, T>;
  const Wide wide = static_cast<Wide>(value);
  if (std::isnan(wide)) {
    const auto bits = std::bit_cast<typename Bits<T>::type>(value);
    return bits == plain_nan<T>() ? std::string("nan") : fmt::format("nan:{:#x}", bits);
  }
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), wide).ptr;
  return std::string(buffer.data(), end);
}

template <class T>
std::optional<T> read_number(std::string_view word) {
  T value{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

template <class T>
std::string read_nan_bits(std::string_view digits, T& out) {
  using U = typename Bits<T>::type;
  U bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
  const T value = std::bit_cast<T>(bits);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isnan(static_cast<double>(value)))
    return fmt::format("nan:0x{} is no NaN of {} bits", digits, sizeof(U) * 8);
  out = value;
  return {};
}

template <class T>
std::string read_floating(std::string_view word, T& out) {
  if (word == "nan") {
    out = std::bit_cast<T>(plain_nan<T>());
    return {};
  }
  if (word.starts_with("nan:0x")) return read_nan_bits(word.substr(6), out);
  const bool negative = word.starts_with('-');
  const std::string_view magnitude = word.substr(word.starts_with('-') || word.starts_with('+') ? 1 : 0);
  if (magnitude == "inf") {
    out = convert_element<T>(negative ? -HUGE_VAL : HUGE_VAL);
    return {};
  }
  if (magnitude.empty() || !(is_digit(magnitude[0]) || magnitude[0] == '.'))
    return fmt::format("'{}' is no number", word);
  // The shortest text of a narrow type names it exactly only when it is read as that type.
  using Read = std::conditional_t<std::is_same_v<T, float>, float, double>;
  Read value{};
  const auto [end, error] = std::from_chars(magnitude.data(), magnitude.data() + magnitude.size(), value);
  if (end != magnitude.data() + magnitude.size()) return fmt::format("'{}' is no number", word);
  const T narrow = convert_element<T>(negative ? -value : value);
  if (error != std::errc() || std::isinf(static_cast<double>(narrow)))
    return fmt::format("{} is outside the range of {}", word, name_of(dtype_of<T>));
  out = narrow;
  return {};
}

template <class T>
std::string read_integer(std::string_view word, T& out) {
  if (const auto value = read_number<T>(word)) {
    out = *value;
    return {};
  }
  const std::string_view digits = word.substr(word.starts_with('-') ? 1 : 0);
  const bool is_integer = !digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit);
  return is_integer ? fmt::format("{} does not fit into {}", word, name_of(dtype_of<T>))
                    : fmt::format("'{}' is no integer", word);
}

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

bool is_identifier(std::string_view text) {
  return !text.empty() && is_identifier_start(text[0]) &&
         std::all_of(text.begin(), text.end(), is_identifier_part);
}

std::string quoted_text(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        result += "\\\"";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\t':
        result += "\\t";
        break;
      case '\r':
        result += "\\r";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
          result += fmt::format("\\x{:02x}", byte);
        else
          result += c;
      }
    }
  }
  return result + '"';
}

std::string element_text(DType dtype, const std::byte* element) {
  return visit_dtype(dtype, [&](auto tag) -> std::string {
    using T = typename decltype(tag)::type;
    T value;
    std::memcpy(&value, element, sizeof value);
    if constexpr (std::is_same_v<T, bool>)
      return value ? "true" : "false";
    else if constexpr (is_float_type<T>)
      return floating_text(value);
    else
      return fmt::format("{}", value);
  });
}

std::string double_text(double value) {
  std::string text = floating_text(value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string read_element(std::string_view word, DType dtype, std::byte* out) {
  return visit_dtype(dtype, [&](auto tag) -> std::string {
    using T = typename decltype(tag)::type;
    T value{};
    std::string problem;
    if constexpr (std::is_same_v<T, bool>) {
      if (word != "true" && word != "false") return fmt::format("'{}' is neither true nor false", word);
      value = word == "true";
    } else if constexpr (is_float_type<T>) {
      problem = read_floating(word, value);
    } else {
      problem = read_integer(word, value);
    }
    std::memcpy(out, &value, sizeof value);
    return problem;
  });
}

bool is_uniform(const Tensor& value) {
  if (value.size() < 2) return false;
  if (std::all_of(value.strides().begin(), value.strides().end(), [](auto s) { return s == 0; })) return true;
  const Tensor plain = value.contiguous();
  const auto* bytes = static_cast<const std::byte*>(plain.raw_data());
  // Equal neighbours everywhere: all are equal.
  return std::memcmp(bytes, bytes + size_of(value.dtype()), plain.bytes() - size_of(value.dtype())) == 0;
}

std::string constant_text(const Tensor& value, std::int64_t listed_elements) {
  std::string text = to_string(TensorType{value.dtype(), value.shape()});
  if (value.rank() == 0) text = name_of(value.dtype());
  const Tensor plain = value.to_host().contiguous();
  const auto* bytes = static_cast<const std::byte*>(plain.raw_data());
  const std::size_t step = size_of(value.dtype());
  if (is_complex(value.dtype())) return text + " base64 \"" + base64({bytes, plain.bytes()}) + '"';
  if (plain.size() > 2 && is_uniform(plain)) return text + '(' + element_text(value.dtype(), bytes) + ')';
  if (plain.size() > listed_elements) return text + " base64 \"" + base64({bytes, plain.bytes()}) + '"';
  text += '(';
  for (std::int64_t i = 0; i < plain.size(); ++i) {
    if (i > 0) text += ", ";
    text += element_text(value.dtype(), bytes + static_cast<std::size_t>(i) * step);
  }
  return text + ')';
}

std::string base64(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? alphabet[word >> (18 - 6 * k) & 63u] : '=';
  }
  return text;
}

bool read_base64(std::string_view text, std::span<std::byte> out) {
  if (text.size() != (out.size() + 2) / 3 * 4) return false;
  for (std::size_t i = 0; i < out.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, out.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i / 3 * 4 + k];
      const std::size_t digit = k <= count ? alphabet.find(c) : (c == '=' ? 0 : std::string_view::npos);
      if (digit == std::string_view::npos) return false;
      word = word << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t k = 0; k < count; ++k) out[i + k] = static_cast<std::byte>(word >> (16 - 8 * k) & 255u);
  }
  return true;
}

bool is_bare_word(std::string_view text) {
  static constexpr std::array<std::string_view, 5> taken = {"true", "false", "nan", "inf", "graph"};
  return is_identifier(text) && !parse_dtype(text) &&
         std::find(taken.begin(), taken.end(), text) == taken.end();
}

}  // namespace croton
