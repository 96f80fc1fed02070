#pragma once

#include <cstdint>
#include <source_location>
#include <string>

#include "croton/graph/export.h"

namespace croton {

/// Where the user made a node: a line of C++, or of a text that was parsed.
struct SourceLocation {
  const char* file = "";  // lives as long as the program
  const char* function = "";
  std::uint32_t line = 0;

  SourceLocation() = default;
  SourceLocation(const std::source_location& where)
      : file(where.file_name()), function(where.function_name()), line(where.line()) {}
  bool known() const { return line != 0; }
};

/// "lenet.cpp:57", or "" where nothing is known.
CROTON_API std::string to_string(const SourceLocation& where);

/// While one lives, nodes made by this thread carry its location instead of the line inside the library that
/// made them: an op composed of others opens one with its caller's line. The outermost wins.
class CROTON_API LocationScope {
 public:
  explicit LocationScope(SourceLocation where);
  ~LocationScope();
  LocationScope(const LocationScope&) = delete;
  LocationScope& operator=(const LocationScope&) = delete;

  /// The location of the outermost scope of this thread, else `where`.
  static SourceLocation current(const SourceLocation& where);

 private:
  SourceLocation where_;
  bool outermost_;
};

/// A copy of a text that lives as long as the program; equal texts give one address.
CROTON_API const char* intern(const std::string& text);

}  // namespace croton
