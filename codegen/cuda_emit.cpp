#include "croton/codegen/cuda_emit.h"

#include <fmt/format.h>

#include <cctype>

#include "croton/codegen/cuda_phase.h"
#include "croton/codegen/cuda_prelude.h"

namespace croton {

namespace {

std::string identifier(const std::string& name) {
  std::string result = "croton_";
  for (const char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return result;
}

}  // namespace

CudaSource emit_cuda(const Kernel& kernel, int multiprocessors) {
  const KernelUses uses(kernel);
  CudaSource source;
  for (std::size_t i = 0; i < kernel.phases.size(); ++i) {
    const Phase& phase = kernel.phases[i];
    if (phase.extent == 0) continue;
    CudaKernel::Phase launch;
    launch.function = fmt::format("{}_{}", identifier(kernel.name), i);
    CudaPhaseWriter writer(kernel, uses, phase, multiprocessors, launch.function);
    source.text += writer.write();
    launch.grid = writer.grid();
    launch.block = static_cast<std::uint32_t>(writer.schedule().block);
    launch.shared_bytes = writer.shared_bytes();
    launch.buffers = writer.buffers();
    source.phases.push_back(std::move(launch));
  }
  return source;
}

std::string cuda_source(const Kernel& kernel, const CudaTarget& target) {
  return std::string(cuda_device_prelude()) + std::string(cuda_prelude()) +
         emit_cuda(kernel, target.multiprocessors).text;
}

}  // namespace croton
