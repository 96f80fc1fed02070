#include "croton/graph/parse_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "croton/graph/error.h"

namespace croton {
namespace {

constexpr std::size_t window = 100;  // bytes of a line that an error shows

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0u) == 0x80u; }

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

}  // namespace

TextPlace text_place(std::string_view file, std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  const std::string_view before = text.substr(0, offset);
  const auto line_number = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  const std::size_t line_end = std::min(text.find('\n', offset), text.size());

  std::size_t first = line_start;
  std::size_t last = line_end;
  if (last - first > window) {
    first = offset - std::min(offset - line_start, window / 2);
    last = std::min(first + window, line_end);
    while (first > line_start && first < last && continues_character(text[first])) ++first;
    while (last < line_end && last > first && continues_character(text[last])) --last;
  }
  std::string shown(text.substr(first, last - first));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  const std::size_t caret = characters(text.substr(first, offset - first));
  const std::size_t column = characters(text.substr(line_start, offset - line_start)) + 1;
  return {fmt::format("{}:{}:{}", file, line_number, column),
          fmt::format("  {}\n  {}^", shown, std::string(caret, ' '))};
}

void throw_parse_error(std::string_view file, std::string_view text, std::size_t offset,
                       std::string_view message) {
  const TextPlace place = text_place(file, text, offset);
  throw ParseError(fmt::format("{}: {}\n{}", place.where, message, place.excerpt));
}

}  // namespace croton
