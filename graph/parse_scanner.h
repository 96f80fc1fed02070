#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "croton/graph/parse_error.h"
#include "croton/graph/type.h"

namespace croton {

/// Reads the text form from left to right, skipping spaces, line ends and `// comments` before each word.
class Scanner {
 public:
  Scanner(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  /// Where the next word starts.
  std::size_t position() {
    skip_blanks();
    return offset_;
  }
  std::uint32_t line() {
    skip_blanks();
    return line_;
  }
  bool at_end() { return position() == text_.size(); }
  /// The next character, 0 at the end.
  char peek() { return at_end() ? '\0' : text_[offset_]; }

  /// Takes that character if it comes next.
  bool accept(char c) {
    if (peek() != c || at_end()) return false;
    ++offset_;
    return true;
  }
  void expect(char c, std::string_view where);
  /// The identifier that comes next, not taken; empty where none does.
  std::string_view peek_word();
  /// Takes the identifier if it is this one.
  bool accept_word(std::string_view word);
  std::string_view expect_word(std::string_view what);
  /// Takes a number or a word like nan:0x7fc00001; empty where none comes.
  std::string_view number_word();
  std::int64_t expect_integer(std::string_view what);
  /// Takes a text in double quotes, unescaped.
  std::string expect_string(std::string_view what);
  /// Takes what stands in double quotes without looking for escapes (long base64).
  std::string_view expect_plain_string(std::string_view what);
  /// Letters, digits and '_' behind a '%'.
  std::string_view expect_reference();
  /// "float32[?,3]".
  TensorType expect_type();
  /// The extents up to the closing bracket.
  void expect_extents(Shape& shape);

  [[noreturn]] void fail(std::size_t offset, std::string_view message) const {
    throw_parse_error(file_, text_, offset, message);
  }
  /// "expected X, got Y".
  [[noreturn]] void fail_expected(std::string_view what);

 private:
  void skip_blanks();
  std::string next_for_error();

  std::string_view text_;
  std::string_view file_;
  std::size_t offset_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace croton
