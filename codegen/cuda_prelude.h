#pragma once

#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// What generated CUDA code begins with: first what only a GPU has (thread numbers, barriers, shuffles, the
/// conversions of 16-bit formats), then the meaning of the loop IR's operations in plain C++. A test puts
/// functions of the host in the place of the first part.
CROTON_API std::string_view cuda_device_prelude();
CROTON_API std::string_view cuda_prelude();

}  // namespace croton
