#pragma once

#include <cstddef>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// Throws a ParseError about the character at `offset` of `text`: "graph.txt:3:8: ", the message, then that
/// line of the text (a window of it where it is long) and a caret under the character. Lines and columns
/// count from 1, columns in characters of UTF-8.
[[noreturn]] CROTON_API void throw_parse_error(std::string_view file, std::string_view text,
                                               std::size_t offset, std::string_view message);

}  // namespace croton
