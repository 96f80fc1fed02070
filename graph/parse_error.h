#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// Where a character of a text is: "graph.txt:3:8" (line and column from 1, columns in characters of UTF-8),
/// and that line (a window of it where it is long) above a caret, both indented by two spaces.
struct TextPlace {
  std::string where;
  std::string excerpt;
};
CROTON_API TextPlace text_place(std::string_view file, std::string_view text, std::size_t offset);

/// Throws a ParseError about the character at `offset` of `text`: "graph.txt:3:8: ", the message, then the
/// excerpt.
[[noreturn]] CROTON_API void throw_parse_error(std::string_view file, std::string_view text,
                                               std::size_t offset, std::string_view message);

}  // namespace croton
