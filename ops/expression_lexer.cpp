#include "croton/ops/expression_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "croton/graph/text_value.h"

namespace croton::expression {
namespace {

// Longer ones first: the first that fits is taken.
constexpr std::array<std::string_view, 32> symbols = {
    "...", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "@", "&",
    "|",   "^",  "~",  "<",  ">",  "(",  ")",  "[",  "]",  "{", "}", ",", ":", ".", "=", ";"};

std::size_t skip_blanks(std::string_view text, std::size_t offset) {
  while (offset < text.size()) {
    const char c = text[offset];
    if (c == '#')
      offset = std::min(text.find('\n', offset), text.size());
    else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
      ++offset;
    else
      break;
  }
  return offset;
}

Token number(const Source& source, std::size_t start) {
  const std::string_view text = source.text;
  std::size_t end = start;
  for (; end < text.size(); ++end) {
    const char c = text[end];
    const bool hexadecimal = text.compare(start, 2, "0x") == 0;
    const bool exponent_sign =
        (c == '+' || c == '-') && !hexadecimal && (text[end - (end > start)] | 0x20) == 'e';
    if (!is_identifier_part(c) && c != '.' && !exponent_sign) break;
    if (text.compare(end, 3, "...") == 0) break;
  }
  Token token{Token::Kind::integer, start, text.substr(start, end - start), 0, 0, {}};
  const std::string_view word = token.spelling;
  const bool hexadecimal = word.starts_with("0x");
  const char* first = word.data() + (hexadecimal ? 2 : 0);
  const char* last = word.data() + word.size();
  const auto whole = std::from_chars(first, last, token.integer, hexadecimal ? 16 : 10);
  if (whole.ptr == last) {
    if (whole.ec == std::errc::result_out_of_range)
      source.fail(start, fmt::format("{} does not fit into 64 bits", word));
    if (whole.ec == std::errc()) return token;
  }
  token.kind = Token::Kind::real;
  const auto real = std::from_chars(word.data(), last, token.real);
  if (real.ptr != last || hexadecimal) source.fail(start, fmt::format("'{}' is no number", word));
  if (real.ec == std::errc::result_out_of_range)
    source.fail(start, fmt::format("{} is outside the range of float64", word));
  return token;
}

Token text_literal(const Source& source, std::size_t start) {
  const std::string_view text = source.text;
  const char quote = text[start];
  Token token{Token::Kind::text, start, {}, 0, 0, {}};
  for (std::size_t i = start + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == quote) {
      token.spelling = text.substr(start, i + 1 - start);
      return token;
    }
    if (text[i] != '\\') {
      token.text += text[i];
      continue;
    }
    const char escape = ++i < text.size() ? text[i] : '\0';
    if (escape == 'n')
      token.text += '\n';
    else if (escape == 't')
      token.text += '\t';
    else if (escape == '\\' || escape == '\'' || escape == '"')
      token.text += escape;
    else
      source.fail(i - 1, "unknown escape: there are \\\\ \\' \\\" \\n \\t");
  }
  source.fail(start, "this text lacks its closing quote");
}

}  // namespace

Token next_token(const Source& source, std::size_t offset) {
  const std::string_view text = source.text;
  const std::size_t start = skip_blanks(text, offset);
  if (start == text.size()) return {Token::Kind::end, start, text.substr(start), 0, 0, {}};
  const char c = text[start];
  if (is_identifier_start(c)) {
    std::size_t end = start;
    while (end < text.size() && is_identifier_part(text[end])) ++end;
    return {Token::Kind::word, start, text.substr(start, end - start), 0, 0, {}};
  }
  if (is_digit(c) || (c == '.' && start + 1 < text.size() && is_digit(text[start + 1])))
    return number(source, start);
  if (c == '"' || c == '\'') return text_literal(source, start);
  for (std::string_view symbol : symbols) {
    if (text.compare(start, symbol.size(), symbol) == 0)
      return {Token::Kind::symbol, start, text.substr(start, symbol.size()), 0, 0, {}};
  }
  const auto byte = static_cast<unsigned char>(c);
  source.fail(start, byte > 0x20 && byte < 0x7f ? fmt::format("unknown character '{}'", c)
                                                : fmt::format("unknown character \\x{:02x}", byte));
}

std::string describe_token(const Token& token) {
  if (token.kind == Token::Kind::end) return "the end";
  return fmt::format("'{}'", token.spelling.substr(0, 40));
}

}  // namespace croton::expression
