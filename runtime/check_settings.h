#pragma once

#include <cstdint>
#include <filesystem>

#include "croton/graph/export.h"

namespace croton {

/// What happens about something that must not be.
enum class CheckAction : std::uint8_t { allow, warn, raise };

/// What the checking modes look at. Functions read it when they are made.
struct CROTON_API CheckSettings {
  /// What NanGuardMode looks for: NaN, infinities, numbers beyond 1e10; and whether that ends the call.
  bool nan_is_error = true;
  bool inf_is_error = true;
  bool big_is_error = true;
  CheckAction nan_guard_action = CheckAction::raise;
  /// How many schedules DebugMode tries beside the usual one: each has an order of steps, memory contents,
  /// alignments and strides of its own.
  int patience = 3;
  /// DebugMode compares the gradient of every op with finite differences, once a function.
  bool check_gradients = true;
  /// Where DebugMode and NanGuardMode write what croton replay runs: empty is the system's temporary folder.
  bool write_reports = true;
  std::filesystem::path report_folder;
  /// What happens when a call allocates memory for tensors after the first two with its shapes, in any mode.
  CheckAction allocations = CheckAction::allow;
};

/// The settings of the process. Not to be changed while other threads make functions.
CROTON_API CheckSettings& check_settings();

/// Puts the settings back when it is destroyed.
class CROTON_API CheckSettingsScope {
 public:
  CheckSettingsScope() : old_(check_settings()) {}
  ~CheckSettingsScope() { check_settings() = old_; }
  CheckSettingsScope(const CheckSettingsScope&) = delete;
  CheckSettingsScope& operator=(const CheckSettingsScope&) = delete;

 private:
  CheckSettings old_;
};

}  // namespace croton
