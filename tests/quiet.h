#pragma once

#include "croton/graph/flags.h"

namespace croton::test {

/// Checking modes write no reports while it lives.
struct Quiet {
  ConfigScope scope{{{"DebugMode.report_dir", "none"}}};
};

}  // namespace croton::test
