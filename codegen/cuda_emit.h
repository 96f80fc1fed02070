#pragma once

#include <string>
#include <vector>

#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/loop_ir.h"

namespace croton {

/// A kernel as CUDA C++, without the prelude (cuda_prelude.h): one function a phase, but that short phases
/// behind another one are in its function, run by the block that ends last. Names do not depend on the names
/// in the kernel, but for those of the functions, which begin with the kernel's.
struct CudaSource {
  std::string text;
  std::vector<CudaKernel::Phase> phases;
};
CROTON_API CudaSource emit_cuda(const Kernel& kernel, int multiprocessors);

/// What stands in front of the text.
CROTON_API const std::string& cuda_prelude_of(const Kernel& kernel);

/// Whether all phases of `next`, run behind those of `kernel`, would be in the function of its last ones.
CROTON_API bool joins_last_launch(const Kernel& kernel, const Kernel& next, int multiprocessors);

}  // namespace croton
