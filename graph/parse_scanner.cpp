#include "croton/graph/parse_scanner.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/text_value.h"

namespace croton {
namespace {

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void Scanner::skip_blanks() {
  while (offset_ < text_.size()) {
    const char c = text_[offset_];
    if (c == '\n') {
      ++line_;
    } else if (text_.compare(offset_, 2, "//") == 0) {
      offset_ = std::min(text_.find('\n', offset_), text_.size());
      continue;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
    ++offset_;
  }
}

std::string Scanner::next_for_error() {
  if (at_end()) return "the end of the text";
  if (const std::string_view word = peek_word(); !word.empty())
    return fmt::format("'{}'", word.substr(0, 40));
  // One character of UTF-8.
  std::size_t length = 1;
  while (offset_ + length < text_.size() &&
         (static_cast<unsigned char>(text_[offset_ + length]) & 0xc0) == 0x80)
    ++length;
  const auto byte = static_cast<unsigned char>(text_[offset_]);
  if (byte < 0x20 || byte == 0x7f) return fmt::format("the character \\x{:02x}", byte);
  return fmt::format("'{}'", text_.substr(offset_, length));
}

void Scanner::fail_expected(std::string_view what) {
  const std::string got = next_for_error();
  fail(offset_, fmt::format("expected {}, got {}", what, got));
}

void Scanner::expect(char c, std::string_view where) {
  if (!accept(c)) fail_expected(fmt::format("'{}' {}", c, where));
}

std::string_view Scanner::peek_word() {
  skip_blanks();
  if (offset_ == text_.size() || !is_identifier_start(text_[offset_])) return {};
  std::size_t end = offset_;
  while (end < text_.size() && is_identifier_part(text_[end])) ++end;
  return text_.substr(offset_, end - offset_);
}

bool Scanner::accept_word(std::string_view word) {
  if (peek_word() != word) return false;
  offset_ += word.size();
  return true;
}

std::string_view Scanner::expect_word(std::string_view what) {
  const std::string_view word = peek_word();
  if (word.empty()) fail_expected(what);
  offset_ += word.size();
  return word;
}

std::string_view Scanner::number_word() {
  skip_blanks();
  std::size_t end = offset_;
  if (end < text_.size() && (text_[end] == '-' || text_[end] == '+')) ++end;
  for (; end < text_.size(); ++end) {
    const char c = text_[end];
    const bool exponent_sign = (c == '-' || c == '+') && end > offset_ && (text_[end - 1] | 0x20) == 'e';
    if (!is_identifier_part(c) && c != '.' && c != ':' && !exponent_sign) break;
  }
  const std::string_view word = text_.substr(offset_, end - offset_);
  offset_ = end;
  return word;
}

std::int64_t Scanner::expect_integer(std::string_view what) {
  const std::size_t start = position();
  const std::string_view word = number_word();
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || error == std::errc::invalid_argument || end != word.data() + word.size()) {
    offset_ = start;
    fail_expected(what);
  }
  if (error != std::errc()) fail(start, fmt::format("{} does not fit into 64 bits", word));
  return value;
}

std::string Scanner::expect_string(std::string_view what) {
  if (peek() != '"') fail_expected(what);
  const std::size_t start = offset_++;
  std::string result;
  for (;;) {
    if (offset_ == text_.size() || text_[offset_] == '\n') fail(start, "this text lacks its closing quote");
    const char c = text_[offset_++];
    if (c == '"') return result;
    if (c != '\\') {
      result += c;
      continue;
    }
    const char escape = offset_ < text_.size() ? text_[offset_++] : '\0';
    switch (escape) {
      case '"':
      case '\\':
        result += escape;
        break;
      case 'n':
        result += '\n';
        break;
      case 't':
        result += '\t';
        break;
      case 'r':
        result += '\r';
        break;
      case 'x': {
        const int high = offset_ < text_.size() ? hex_digit(text_[offset_]) : -1;
        const int low = offset_ + 1 < text_.size() ? hex_digit(text_[offset_ + 1]) : -1;
        if (high < 0 || low < 0) fail(offset_ - 2, "\\x needs two hexadecimal digits");
        result += static_cast<char>(high * 16 + low);
        offset_ += 2;
        break;
      }
      default:
        fail(offset_ - 1, "unknown escape: there are \\\" \\\\ \\n \\t \\r and \\xHH");
    }
  }
}

std::string_view Scanner::expect_plain_string(std::string_view what) {
  if (peek() != '"') fail_expected(what);
  const std::size_t start = offset_ + 1;
  const std::size_t end = text_.find('"', start);
  if (end == std::string_view::npos) fail(offset_, "this text lacks its closing quote");
  const std::string_view content = text_.substr(start, end - start);
  line_ += static_cast<std::uint32_t>(std::count(content.begin(), content.end(), '\n'));
  offset_ = end + 1;
  return content;
}

std::string_view Scanner::expect_reference() {
  if (peek() != '%') fail_expected("a variable (%name)");
  const std::size_t start = offset_ + 1;
  std::size_t end = start;
  while (end < text_.size() && is_identifier_part(text_[end])) ++end;
  if (end == start) fail(offset_, "expected a name behind '%'");
  offset_ = end;
  return text_.substr(start, end - start);
}

TensorType Scanner::expect_type() {
  const std::size_t start = position();
  const std::string_view word = peek_word();
  const auto dtype = parse_dtype(word);
  if (!dtype) {
    if (word.empty()) fail_expected("a type like float32[?,3]");
    std::vector<std::string_view> names;
    for (int i = 0; i < dtype_count; ++i) names.push_back(name_of(static_cast<DType>(i)));
    fail(start, fmt::format("unknown dtype '{}'{}", word, did_you_mean(word, names)));
  }
  offset_ += word.size();
  TensorType type{*dtype, {}};
  expect('[', "behind the dtype (float32[] is a scalar)");
  if (!accept(']')) expect_extents(type.shape);
  if (accept('@')) {
    const std::size_t at = position();
    const std::string_view name = peek_word();
    try {
      type.device = Device::from_name(name);
    } catch (const ValueError& error) {
      fail(at, error.what());
    }
    offset_ += name.size();
  }
  return type;
}

void Scanner::expect_extents(Shape& shape) {
  do {
    const std::size_t at = position();
    if (shape.size() == max_rank) fail(at, fmt::format("a tensor has at most {} axes", max_rank));
    if (accept('?')) {
      shape.push_back(unknown);
      continue;
    }
    const std::int64_t extent = expect_integer("an extent or '?'");
    if (extent < 0) fail(at, "an extent cannot be negative; '?' leaves it open");
    shape.push_back(extent);
  } while (accept(','));
  expect(']', "or ',' behind an extent");
}

}  // namespace croton
