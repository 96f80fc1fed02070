#pragma once

#include <string>

#include "croton/graph/export.h"

namespace croton {

/// Version of the library that runs, as "0.1.0".
CROTON_API const char* version();

/// Croton's version, then a line for each library inside or beside it with the version that it was built
/// with, and the compiler.
CROTON_API std::string version_details();

}  // namespace croton
