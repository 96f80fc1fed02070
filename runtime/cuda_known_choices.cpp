#include "croton/runtime/cuda_known_choices.h"

#include "croton/codegen/kernel_files.h"

namespace croton {

std::optional<std::string> KnownChoices::find(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (const auto entry = known_.find(problem); entry != known_.end()) return entry->second;
  std::optional<std::string> choice = read_cached_object(hash_of(kind_ + "\n" + problem));
  if (choice) known_.emplace(problem, *choice);
  return choice;
}

void KnownChoices::remember(const std::string& problem, const std::string& choice) {
  const std::lock_guard lock(mutex_);
  known_.insert_or_assign(problem, choice);
  write_cached_object(hash_of(kind_ + "\n" + problem), choice);
}

}  // namespace croton
