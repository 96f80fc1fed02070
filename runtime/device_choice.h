#pragma once

#include <string>

#include "croton/graph/device.h"
#include "croton/graph/export.h"

namespace croton {

/// The device that a value of the flag device means: "cpu", "cuda", "cuda1", "GPU-3a61…" (a uuid, or its
/// beginning), "most-free", "auto" (a GPU where everything for one is there, else the CPU, with one message).
/// Throws DeviceError where a GPU is wanted that cannot be used: which part is missing and how to get it.
CROTON_API Device choose_device(const std::string& name);

}  // namespace croton
