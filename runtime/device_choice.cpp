#include "croton/runtime/device_choice.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_kernels.h"

namespace croton {

namespace {

int most_free_device() {
  int best = 0;
  std::size_t most = 0;
  for (int i = 0; i < cuda_device_count(); ++i) {
    const std::size_t free = CudaDevice::get(i).free_bytes();
    if (free > most) {
      most = free;
      best = i;
    }
  }
  return best;
}

int device_of_uuid(const std::string& uuid) {
  std::string known;
  int found = -1;
  for (int i = 0; i < cuda_device_count(); ++i) {
    const CudaDeviceInfo info = cuda_device_info(i);
    known += fmt::format("{}cuda{} is {}", known.empty() ? "" : ", ", i, info.uuid);
    if (!info.uuid.starts_with(uuid)) continue;
    if (found >= 0) throw DeviceError(fmt::format("device={} means several GPUs: {}", uuid, known));
    found = i;
  }
  if (found < 0) {
    throw DeviceError(
        fmt::format("there is no GPU {}; {}", uuid, known.empty() ? "the driver shows none" : known));
  }
  return found;
}

/// The device, whose context can be made.
Device usable(int ordinal) {
  const int count = cuda_device_count();
  if (count == 0)
    throw DeviceError(
        "the driver shows no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES; in a container, "
        "start it with --gpus all");
  CudaDevice::get(ordinal);
  return Device::cuda(ordinal);
}

Device cuda_device(const std::string& name) {
  if (!cuda_driver_problem().empty()) throw DeviceError(cuda_driver_problem());
  if (name == "auto") {
    if (const std::string problem = cuda_compiler_problem(); !problem.empty()) throw DeviceError(problem);
    return usable(0);
  }
  if (name == "most-free") return usable(most_free_device());
  if (name.starts_with("GPU-")) return usable(device_of_uuid(name));
  return usable(Device::from_name(name).ordinal());
}

}  // namespace

Device choose_device(const std::string& name) {
  if (name == "cpu") return {};
  try {
    return cuda_device(name);
  } catch (const DeviceError& error) {
    if (name == "auto") {
      static const bool is_told = [&] {
        send_message(Severity::info, fmt::format("device=auto: functions run on the CPU; {}", error.what()));
        return true;
      }();
      (void)is_told;
      return {};
    }
    throw DeviceError(fmt::format("device={} cannot be used: {}", name, error.what()));
  }
}

}  // namespace croton
