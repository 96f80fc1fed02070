#include "croton/graph/source_location.h"

#include <fmt/format.h>

#include <mutex>
#include <string_view>
#include <unordered_set>

namespace croton {

namespace {
thread_local const SourceLocation* outermost_location = nullptr;
}

std::string to_string(const SourceLocation& where) {
  if (!where.known()) return "";
  std::string_view file(where.file);
  file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0
  return fmt::format("{}:{}", file, where.line);
}

LocationScope::LocationScope(SourceLocation where)
    : where_(where), outermost_(outermost_location == nullptr && where.known()) {
  if (outermost_) outermost_location = &where_;
}

LocationScope::~LocationScope() {
  if (outermost_) outermost_location = nullptr;
}

SourceLocation LocationScope::current(const SourceLocation& where) {
  return outermost_location != nullptr ? *outermost_location : where;
}

const char* intern(const std::string& text) {
  static std::mutex mutex;
  static std::unordered_set<std::string> texts;
  const std::lock_guard lock(mutex);
  return texts.insert(text).first->c_str();
}

}  // namespace croton
