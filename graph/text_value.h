#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/dtype.h"
#include "croton/graph/tensor.h"

namespace croton {

// How the text form spells values, exactly: what is read back has the same bits.

/// A letter or '_', then letters, digits and '_'.
bool is_identifier(std::string_view text);
inline bool is_identifier_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_identifier_part(char c) { return is_identifier_start(c) || is_digit(c); }

/// In double quotes, with \" \\ \n \t \r and \xHH for what does not print.
std::string quoted_text(std::string_view text);

/// One element of a real dtype: true, -3, 0.1 (the shortest text that reads back), -0, inf, nan, and NaNs of
/// other bits as nan:0xffc00000.
std::string element_text(DType dtype, const std::byte* element);
/// As a floating attribute shows it: like an element, but never like an integer (2.0).
std::string double_text(double value);

/// Reads an element into `out`; answers what is wrong with the word, or nothing.
std::string read_element(std::string_view word, DType dtype, std::byte* out);

/// A constant: "float32(0.5)", "int64[2,2](1, 2, 3, 4)" in C order, "float32[100](0)" where all elements have
/// the same bits, "float32[65] base64 \"…\"" (C order, little-endian) where there are more than
/// `listed_elements` or the dtype is complex.
std::string constant_text(const Tensor& value, std::int64_t listed_elements);
/// Whether all elements of a tensor have the same bits.
bool is_uniform(const Tensor& value);

std::string base64(std::span<const std::byte> bytes);
/// The bytes, or false for text that is no base64 of exactly so many bytes.
bool read_base64(std::string_view text, std::span<std::byte> out);

/// A string attribute that may stand without quotes: no other value reads like it.
bool is_bare_word(std::string_view text);

}  // namespace croton
