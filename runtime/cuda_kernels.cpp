#include "croton/runtime/cuda_kernels.h"

#include <map>
#include <mutex>
#include <utility>

#include "croton/codegen/cuda_nvrtc.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

struct Loaded {
  std::mutex mutex;
  CudaCompiler compiler;
  std::map<std::pair<int, const CudaKernel*>, std::weak_ptr<const LoadedCudaKernel>> kernels;
};

Loaded& loaded_kernels() {
  static auto* all = new Loaded;  // used by destructors of static objects
  return *all;
}

}  // namespace

LoadedCudaKernel::LoadedCudaKernel(CudaDevice& device, std::shared_ptr<const CudaKernel> kernel)
    : kernel_(std::move(kernel)) {
  if (kernel_->phases.empty()) return;
  module_ = std::make_unique<CudaModule>(
      device, std::span<const char>(kernel_->cubin.data(), kernel_->cubin.size()), kernel_->name);
  for (const CudaKernel::Phase& phase : kernel_->phases) {
    if (phase.buffers.size() > most_parameters)
      throw InternalError("kernel " + kernel_->name + " takes more buffers than a launch has parameters");
    launches_.push_back({module_->function(phase.function, phase.shared_bytes), phase.grid, phase.block,
                         phase.shared_bytes, phase.buffers});
  }
}

std::vector<std::shared_ptr<const LoadedCudaKernel>> load_cuda_kernels(CudaDevice& device,
                                                                       std::span<const Kernel> kernels) {
  const CudaTarget target{.architecture = device.info().architecture(),
                          .multiprocessors = device.info().multiprocessors,
                          .use_cache = true,
                          .driver_major = cuda_driver().version / 1000};
  Loaded& all = loaded_kernels();
  CudaCompiler compiler;
  {
    const std::lock_guard guard(all.mutex);
    compiler = all.compiler;
  }
  const auto compiled = compiler ? compiler(kernels, target) : compile_cuda(kernels, target);
  std::vector<std::shared_ptr<const LoadedCudaKernel>> result;
  const std::lock_guard guard(all.mutex);
  for (const auto& kernel : compiled) {
    const auto key = std::pair(device.ordinal(), kernel.get());
    std::shared_ptr<const LoadedCudaKernel> known = all.kernels[key].lock();
    if (known == nullptr) {
      known = std::make_shared<LoadedCudaKernel>(device, kernel);
      all.kernels[key] = known;
    }
    result.push_back(std::move(known));
  }
  std::erase_if(all.kernels, [](const auto& entry) { return entry.second.expired(); });
  return result;
}

std::string cuda_compiler_problem() {
  Loaded& all = loaded_kernels();
  const std::lock_guard guard(all.mutex);
  return all.compiler ? std::string() : nvrtc_info().reason;
}

void set_cuda_compiler(CudaCompiler compiler) {
  Loaded& all = loaded_kernels();
  const std::lock_guard guard(all.mutex);
  all.compiler = std::move(compiler);
}

}  // namespace croton
