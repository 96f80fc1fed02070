#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// One `name=value` out of a flag string or a file.
struct FlagAssignment {
  std::string name;
  std::string value;
  /// "CROTON_FLAGS, column 8" or "/home/x/.crotonrc:3".
  std::string where;
};

/// Comma-separated `name=value`. Quotes work as in a shell and keep commas and spaces; other spaces around
/// names and values are dropped; empty items are skipped. `source` names the text in errors. Throws
/// FlagError.
CROTON_API std::vector<FlagAssignment> parse_flag_string(std::string_view text, std::string_view source);

/// An INI file: `[section]` lines, `name = value` lines, comments that begin with # or ;. Names in [global]
/// stand for themselves, those of any other section get "section." in front. Throws FlagError.
CROTON_API std::vector<FlagAssignment> parse_flag_file(std::string_view text, std::string_view file);

}  // namespace croton
