#include "croton/runtime/device_info.h"

#include <fmt/format.h>

#include <thread>

#include "croton/codegen/cuda_nvrtc.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/runtime/byte_text.h"
#include "croton/runtime/cuda_convolution.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_library_start.h"
#include "croton/runtime/cuda_library_step.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/device_choice.h"

namespace croton {

namespace {

GpuPart driver_part() {
  GpuPart part{.name = "driver",
               .is_found = cuda_driver_problem().empty(),
               .path = {},
               .version = {},
               .problem = cuda_driver_problem()};
  if (part.is_found) {
    part.path = cuda_driver().path;
    part.version = "CUDA " + cuda_version_text(cuda_driver().version);
  }
  return part;
}

GpuPart compiler_part() {
  const NvrtcInfo& info = nvrtc_info();
  return {.name = "NVRTC",
          .is_found = info.is_available,
          .path = info.path,
          .version = info.is_available ? fmt::format("{}.{}", info.major, info.minor) : std::string(),
          .problem = info.reason};
}

GpuInfo gpu(int ordinal) {
  GpuInfo info;
  info.device = fmt::format("cuda{}", ordinal);
  try {
    const CudaDeviceInfo known = cuda_device_info(ordinal);
    info.name = known.name;
    info.uuid = known.uuid;
    info.major = known.major;
    info.minor = known.minor;
    info.total_bytes = known.total_bytes;
    CudaDevice& device = CudaDevice::get(ordinal);
    info.free_bytes = device.free_bytes();
    const CudaMemory::Usage usage = device.memory().usage();
    info.in_use_bytes = usage.in_use;
    info.reserved_bytes = usage.reserved;
  } catch (const Error& error) {
    info.problem = error.what();
  }
  return info;
}

}  // namespace

Availability dnn_available(const std::string& device) {
  std::string wanted = device.empty() ? std::string(config().device()) : device;
  if (wanted == "cpu" || wanted == "auto") wanted = "cuda";
  try {
    const Device chosen = choose_device(wanted);
    std::string reason = cudnn_start_problem(CudaDevice::get(chosen.ordinal()));
    return {reason.empty(), std::move(reason)};
  } catch (const Error& error) {
    return {false, error.what()};
  }
}

void start_device(const std::string& name) {
  const std::string wanted = name.empty() ? std::string(config().device()) : name;
  if (wanted == "cpu") return;
  std::thread libraries;
  if (wanted != "auto") libraries = std::thread([] { open_cuda_libraries(); });
  const auto join = [&] {
    if (libraries.joinable()) libraries.join();
  };
  try {
    if (const Device chosen = choose_device(wanted); chosen.is_cuda()) open_cuda_libraries(chosen);
  } catch (...) {
    join();
    throw;
  }
  join();
}

DeviceInfo device_info() {
  DeviceInfo info;
  info.parts = {driver_part(), compiler_part()};
  for (GpuPart& part : cuda_library_parts()) info.parts.push_back(std::move(part));
  int count = 0;
  if (info.parts.front().is_found) {
    try {
      count = cuda_device_count();
      if (count == 0)
        info.parts.front().problem = "it shows no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES";
    } catch (const Error& error) {
      info.parts.front().problem = error.what();
    }
  }
  for (int i = 0; i < count; ++i) info.gpus.push_back(gpu(i));
  return info;
}

std::string device_report(const DeviceInfo& info) {
  std::string text;
  for (const GpuPart& part : info.parts) {
    text += fmt::format("{:<12}", part.name);
    text += part.is_found ? fmt::format("{}{}{}", part.version, part.version.empty() ? "" : ", ", part.path)
                          : std::string("not found");
    if (!part.problem.empty()) text += ": " + part.problem;
    text += '\n';
  }
  for (const GpuInfo& gpu : info.gpus) {
    text +=
        fmt::format("{:<12}{}, compute capability {}.{}, {} of {} free, {}\n", gpu.device, gpu.name,
                    gpu.major, gpu.minor, byte_text(gpu.free_bytes), byte_text(gpu.total_bytes), gpu.uuid);
    if (!gpu.problem.empty()) text += fmt::format("{:<12}{}\n", "", gpu.problem);
  }
  return text;
}

}  // namespace croton
