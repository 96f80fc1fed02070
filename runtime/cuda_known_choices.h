#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace croton {

/// Which of a library's algorithms was chosen, by a text that names everything that the choice depends on:
/// numbers, arithmetic, device, version of the library. For this process and, by the cache on disk, others.
class KnownChoices {
 public:
  /// kind: of what, "convolution algorithm".
  explicit KnownChoices(std::string kind) : kind_(std::move(kind)) {}

  std::optional<std::string> find(const std::string& problem);
  void remember(const std::string& problem, const std::string& choice);

 private:
  const std::string kind_;
  std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> known_;
};

}  // namespace croton
