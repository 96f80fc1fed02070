#pragma once

#include "croton/graph/device.h"
#include "croton/graph/export.h"

namespace croton {

/// What a device reaches, measured: what a profile's rates stand beside.
struct CROTON_API MachinePeak {
  double bytes_per_second = 0;       ///< adding two vectors that no cache holds, read and written
  double operations_per_second = 0;  ///< a product of large float32 matrices, or a faster step of a function
};

/// Of the host with all its threads, or of a GPU. Measured once (a third of a second) and kept in the folder
/// of compiled kernels, for this processor and number of threads or this GPU.
CROTON_API MachinePeak machine_peak(Device device = {});

/// What a step of a function reached on the host, operations a second: beyond what was measured, which other
/// work may have slowed down then, it takes that one's place.
CROTON_API void note_operations_reached(double operations_per_second);

}  // namespace croton
