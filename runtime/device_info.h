#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// A part that functions on a GPU need.
struct GpuPart {
  std::string name;  ///< "driver", "NVRTC", "cuBLASLt", "cuDNN"
  bool is_found = false;
  std::string path;     ///< of the library
  std::string version;  ///< "13.2"
  std::string problem;  ///< why it is not there, and how to get it; empty when it is found
};

/// A GPU that functions can run on.
struct GpuInfo {
  std::string device;        ///< "cuda0": a value of the flag device
  std::string name;          ///< "NVIDIA H200"
  std::string uuid;          ///< "GPU-3a61…": another one
  int major = 0, minor = 0;  ///< compute capability
  std::size_t total_bytes = 0;
  std::size_t free_bytes = 0;      ///< 0 where the device cannot be used; then `problem` says why
  std::size_t in_use_bytes = 0;    ///< by this process's tensors and functions
  std::size_t reserved_bytes = 0;  ///< taken from the driver by this process, in use or kept for later
  std::string problem;
};

/// What there is of GPUs, and what they need.
struct DeviceInfo {
  std::vector<GpuPart> parts;
  std::vector<GpuInfo> gpus;
};

/// Whether something is there, and if not, why, and how to get it.
struct Availability {
  bool is_available = false;
  std::string reason;  ///< empty when it is there
  explicit operator bool() const { return is_available; }
};

/// Whether convolutions on a device (a value of the flag device; the flag's own when empty, the first GPU
/// where that is the CPU) can be those of cuDNN: the driver, the device, the library and its start are looked
/// at. Never throws.
CROTON_API Availability dnn_available(const std::string& device = {});

/// Starts the device that a value of the flag device means (the flag's own when empty): the driver, its
/// context, the CUDA libraries. The first function there does it otherwise, which takes half a second more.
/// Throws DeviceError where the device cannot be used. Nothing for "cpu".
CROTON_API void start_device(const std::string& name = {});

/// Looks: opens the libraries, makes a context on every GPU to ask for its memory. Never throws.
CROTON_API DeviceInfo device_info();
/// The same as lines for people.
CROTON_API std::string device_report(const DeviceInfo& info);

}  // namespace croton
