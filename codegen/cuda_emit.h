#pragma once

#include <string>
#include <vector>

#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/loop_ir.h"

namespace croton {

/// A kernel as CUDA C++: one function a phase, without the prelude (cuda_prelude.h). Names in it do not
/// depend on the names in the kernel, but for those of the functions, which begin with the kernel's.
struct CudaSource {
  std::string text;
  std::vector<CudaKernel::Phase> phases;
};
CROTON_API CudaSource emit_cuda(const Kernel& kernel, int multiprocessors);

}  // namespace croton
