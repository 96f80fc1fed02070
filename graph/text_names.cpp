#include "croton/graph/text_names.h"

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/graph/text_value.h"

namespace croton {

std::string TextNames::define(const Variable& variable) {
  const std::string& name = variable.name();
  std::string& word = words_[variable];
  if (is_identifier(name) && taken_.insert(name).second) {
    word = '%' + name;
    return word;
  }
  word = '%' + std::to_string(next_++);
  return name.empty() ? word : word + ' ' + quoted_text(name);
}

const std::string& TextNames::use(const Variable& variable) const {
  const auto entry = words_.find(variable);
  if (entry == words_.end())
    throw InternalError("the text form meets " + describe(variable) + " before its definition");
  return entry->second;
}

}  // namespace croton
