#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// NVRTC, NVIDIA's compiler as a library, opened at run time (toolkits 12.8 to 13.x).
struct NvrtcInfo {
  bool is_available = false;
  std::string path;                ///< of the library
  int major = 0, minor = 0;        ///< version of the toolkit it comes from
  std::vector<int> architectures;  ///< compute capabilities it compiles for: 80, 90, …
  std::string reason;              ///< why it is not available, and how to get it
};
CROTON_API const NvrtcInfo& nvrtc_info();

/// CUDA C++ to a cubin for `architecture` (major * 10 + minor). `name` stands for the file in messages.
/// Throws DeviceError when NVRTC is missing or does not know the architecture, InternalError with the
/// compiler's messages when the source is wrong. May be called from several threads.
std::string compile_cuda_source(std::string_view source, const std::string& name, int architecture);

}  // namespace croton
