#pragma once

#include <string>

#include "croton/graph/export.h"

namespace croton {

/// Why NVTX cannot be used; empty when it can. Opens its library (libnvtx3interop of CUDA 12.9 and later, or
/// libnvToolsExt), which does nothing unless a profiler listens.
CROTON_API const std::string& nvtx_problem();

/// What this thread does from here to the end of the object, by name, for NVIDIA's profilers. Nothing where
/// there is no NVTX or the name is null.
class CROTON_API NvtxRange {
 public:
  explicit NvtxRange(const char* name);
  ~NvtxRange();
  NvtxRange(const NvtxRange&) = delete;
  NvtxRange& operator=(const NvtxRange&) = delete;

 private:
  bool is_open_ = false;
};

}  // namespace croton
