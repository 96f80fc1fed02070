#include "croton/runtime/cuda_driver.h"

#include <fmt/format.h>

#include <array>

#include "croton/codegen/cuda_library.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

/// The driver's own numbers of the errors that have advice.
struct Advice {
  CUresult result;
  const char* text;
};

constexpr std::array<Advice, 14> advices = {{
    {2, "the device is out of memory"},
    {3,
     "the driver was not initialised; a process forked after it used the device cannot use it: start the "
     "child before the first use of the device"},
    {34, "the library found is a stub for linking, not a driver: take it out of LD_LIBRARY_PATH"},
    {35, "the driver is too old; install a newer one"},
    {36, "a remote session shadows the driver"},
    {46, "the device is used exclusively by another process (its compute mode)"},
    {100,
     "the driver sees no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES; in a container, start it with "
     "--gpus all"},
    {101, "there is no such device; `croton doctor` lists those that there are"},
    {209, "the code was not made for this GPU: delete the kernel cache (`croton cache clear`) and try again"},
    {700,
     "a kernel read or wrote outside its memory; the device cannot be used any more in this process. "
     "CROTON_FLAGS=gpu.sync=true names the step"},
    {710,
     "an assertion in a kernel failed; the device cannot be used any more in this process. "
     "CROTON_FLAGS=gpu.sync=true names the step"},
    {719,
     "a kernel failed; the device cannot be used any more in this process. CROTON_FLAGS=gpu.sync=true names "
     "the step"},
    {802, "the system is not ready: on machines with NVSwitch the fabric manager must run"},
    {804, "the driver and this compatibility library do not fit together"},
}};

/// Libraries may be opened, but the driver must answer before anything else asks it.
struct LoadedDriver {
  CudaDriver functions;
  std::string problem;

  LoadedDriver() { load(); }

  void load() {
    const CudaLibrary library(
        {.name = "the NVIDIA driver",
         .sonames = {"libcuda.so.1"},
         .loaded_first = {},
         .how_to_get = "It comes with the GPU's driver (nvidia-smi shows whether it works); in a container, "
                       "start it with --gpus all."});
    if (!library.is_open()) {
      problem = library.reason();
      return;
    }
    functions.path = library.path();
    std::string missing;
#define CROTON_CUDA_FIND(function, symbol, parameters) \
  if (!library.find(symbol, functions.function) && missing.empty()) missing = symbol;
    CROTON_CUDA_FUNCTIONS(CROTON_CUDA_FIND)
#undef CROTON_CUDA_FIND
    if (!missing.empty()) {
      problem =
          fmt::format("the NVIDIA driver {} is too old: it lacks {}; Croton needs one for CUDA 11.4 or newer",
                      library.path(), missing);
      return;
    }
    if (const CUresult result = functions.cuInit(0); result != 0) {
      problem = fmt::format("the NVIDIA driver {} does not start: {}", library.path(),
                            describe(result, "cuInit", ""));
      return;
    }
    functions.cuDriverGetVersion(&functions.version);
  }

  std::string describe(CUresult result, const char* call, const std::string& what) const {
    const char* name = nullptr;
    const char* sentence = nullptr;
    if (functions.cuGetErrorName != nullptr) functions.cuGetErrorName(result, &name);
    if (functions.cuGetErrorString != nullptr) functions.cuGetErrorString(result, &sentence);
    std::string text =
        fmt::format("{} gave {}", call, name == nullptr ? fmt::format("error {}", result) : name);
    if (!what.empty()) text += fmt::format(" for {}", what);
    if (sentence != nullptr) text += fmt::format(" ({})", sentence);
    for (const Advice& advice : advices) {
      if (advice.result == result) text += fmt::format(": {}", advice.text);
    }
    return text;
  }
};

const LoadedDriver& loaded_driver() {
  static const LoadedDriver driver;
  return driver;
}

}  // namespace

const CudaDriver& cuda_driver() {
  const LoadedDriver& driver = loaded_driver();
  if (!driver.problem.empty()) throw DeviceError(driver.problem);
  return driver.functions;
}

const std::string& cuda_driver_problem() { return loaded_driver().problem; }

void throw_cuda_error(CUresult result, const char* call, const std::string& what) {
  const std::string text = "the CUDA driver failed: " + loaded_driver().describe(result, call, what);
  if (result == cuda_out_of_memory) throw MemoryError(text);
  throw DeviceError(text);
}

std::string cuda_version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

}  // namespace croton
