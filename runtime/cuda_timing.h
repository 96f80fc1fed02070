#pragma once

#include <functional>
#include <limits>

#include "croton/graph/export.h"
#include "croton/runtime/cuda_device.h"

namespace croton {

/// Seconds that what `enqueue` puts on the device's stream takes there, once it is warm: the least of a few
/// measurements. What takes more than `limit` when it runs the first time after warming up is run no more.
/// The device's mutex is held by the caller.
CROTON_API double device_seconds(CudaDevice& device, const std::function<void()>& enqueue,
                                 double limit = std::numeric_limits<double>::infinity());

}  // namespace croton
