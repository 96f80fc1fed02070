#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/cuda_kernel.h"
#include "croton/runtime/cuda_device.h"

namespace croton {

/// Generated code, loaded on a device.
class CROTON_API LoadedCudaKernel {
 public:
  struct Launch {
    CUfunction function = nullptr;
    std::uint32_t grid = 1;
    std::uint32_t block = 1;
    std::uint32_t shared_bytes = 0;
    std::vector<std::int32_t> buffers;  // the parameters, among the kernel's
  };
  /// The most parameters of a launch (4 KiB of pointers).
  static constexpr std::size_t most_parameters = 512;

  /// Throws DeviceError.
  LoadedCudaKernel(CudaDevice& device, std::shared_ptr<const CudaKernel> kernel);
  const std::vector<Launch>& launches() const { return launches_; }
  /// Of the code, in the cache and in NVIDIA's profilers.
  const std::string& name() const { return kernel_->name; }

 private:
  std::shared_ptr<const CudaKernel> kernel_;
  std::unique_ptr<CudaModule> module_;  // null without launches
  std::vector<Launch> launches_;
};

/// Compiles kernels for a device and loads them; one that is loaded already is shared. Order of results is
/// that of kernels. Throws DeviceError.
CROTON_API std::vector<std::shared_ptr<const LoadedCudaKernel>> load_cuda_kernels(
    CudaDevice& device, std::span<const Kernel> kernels);

/// What compiles: compile_cuda unless a test puts another in its place (an empty one puts it back).
using CudaCompiler =
    std::function<std::vector<std::shared_ptr<const CudaKernel>>(std::span<const Kernel>, const CudaTarget&)>;
CROTON_API void set_cuda_compiler(CudaCompiler compiler);
/// Why kernels cannot be compiled; empty when they can.
CROTON_API std::string cuda_compiler_problem();

}  // namespace croton
