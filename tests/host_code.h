#pragma once

#include <string>

namespace croton::test {

/// Whether there is a compiler; says so in the test's output where there is none.
bool has_host_compiler();

/// C++ that the host's compiler has compiled while the test runs.
class HostCode {
 public:
  /// Throws with the compiler's messages when that fails; the text is then left where these say.
  explicit HostCode(const std::string& text);
  ~HostCode();
  HostCode(const HostCode&) = delete;
  HostCode& operator=(const HostCode&) = delete;

  /// The function of that name (extern "C"), null where there is none.
  void* function(const std::string& name) const;

 private:
  void* library_ = nullptr;
};

}  // namespace croton::test
