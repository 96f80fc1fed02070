#include "croton/runtime/check_settings.h"

namespace croton {

CheckSettings& check_settings() {
  static CheckSettings settings;
  return settings;
}

}  // namespace croton
