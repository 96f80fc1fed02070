#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/loop_ir.h"
#include "host_code.h"

namespace croton::test {

/// Kernels as CUDA C++ that the host's compiler has compiled: a block's threads are fibers that run one after
/// the other from barrier to barrier, so that a missing barrier shows. No GPU and no NVRTC are needed.
class CudaOnHost {
 public:
  /// Compiles all kernels at once, as for a GPU of so many multiprocessors. Throws with the compiler's
  /// messages when that fails.
  CudaOnHost(std::span<const Kernel> kernels, int multiprocessors);

  void run(std::size_t kernel, void* const* buffers) const;
  /// The CUDA C++ of one kernel.
  const CudaSource& source(std::size_t kernel) const { return sources_[kernel]; }

 private:
  using PhaseFunction = void (*)(void* const* buffers, unsigned grid, unsigned block, unsigned shared_bytes);
  std::vector<CudaSource> sources_;
  std::vector<std::vector<PhaseFunction>> functions_;
  std::unique_ptr<HostCode> code_;
};

}  // namespace croton::test
