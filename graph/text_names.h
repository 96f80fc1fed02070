#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/variable.h"

namespace croton {

/// Gives every variable of a printed graph a word of its own: its name where that is an identifier and not
/// taken, else a number with the name in quotes behind it where it has one.
class TextNames {
 public:
  /// "%x", "%3", "%4 \"odd name\"": what defines the variable.
  std::string define(const Variable& variable);
  /// "%x": what refers to it; InternalError for one that was not defined.
  const std::string& use(const Variable& variable) const;
  bool knows(const Variable& variable) const { return words_.contains(variable); }

 private:
  std::unordered_map<Variable, std::string> words_;
  std::unordered_set<std::string> taken_;
  std::size_t next_ = 0;
};

}  // namespace croton
