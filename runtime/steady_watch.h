#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "croton/graph/flags.h"

namespace croton {

class Plan;

/// Watches that the calls of a function allocate no memory for tensors once they are warm:
/// the flag allocations.
class SteadyWatch {
 public:
  explicit SteadyWatch(Allocations action) : action_(action) {}

  /// One call of a plan, which allocated so many blocks. Throws SteadyStateError, or warns.
  void add_call(const Plan& plan, std::uint64_t blocks, const std::string& function_name);

 private:
  static constexpr int warm_up_calls = 2;
  Allocations action_;
  std::mutex mutex_;
  std::unordered_map<const Plan*, int> calls_;
};

}  // namespace croton
