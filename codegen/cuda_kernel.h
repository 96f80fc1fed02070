#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/loop_ir.h"
#include "croton/graph/export.h"

namespace croton {

/// A kernel in machine code of one GPU architecture. Immutable. Loading and launching it is the runtime's
/// work: load `cubin` as a module, then launch the phases in order on one stream.
struct CudaKernel {
  /// One launch. The parameters of `function` are device pointers: the kernel's buffers numbered `buffers`,
  /// in that order.
  struct Phase {
    std::string function;
    std::uint32_t grid = 1;          ///< blocks, along x; never 0 (phases without work are left out)
    std::uint32_t block = 1;         ///< threads, along x
    std::uint32_t shared_bytes = 0;  ///< dynamic shared memory; over 48 KiB the function must be told first
    std::vector<std::int32_t> buffers;
  };
  std::string name;
  std::string cubin;
  std::vector<Phase> phases;
  std::vector<CompiledKernel::ScratchBuffer> scratch;
};

/// Whether warps of this architecture multiply together (wgmma). Its code runs on this one alone.
inline bool has_warpgroup_products(int architecture) { return architecture == 90; }

struct CudaTarget {
  int architecture = 90;      ///< compute capability, major * 10 + minor
  int multiprocessors = 132;  ///< of the GPU: how work is cut, never what it gives
  bool use_cache = true;      ///< the one on disk; kernels that are in use are found in any case
  /// The major version of CUDA that the driver is for: it runs what was compiled under such a driver.
  int driver_major = 13;
};

/// Compiles kernels with NVRTC, equal ones once (in the process, and on disk), several at a time. Needs no
/// GPU. Order of results is that of kernels. Buffers must be aligned to their elements; to 16 bytes is
/// faster. Throws DeviceError when there is no NVRTC or it does not know the architecture (the text says what
/// to do). May be called from any thread.
CROTON_API std::vector<std::shared_ptr<const CudaKernel>> compile_cuda(std::span<const Kernel> kernels,
                                                                       const CudaTarget& target);

/// The CUDA C++ of a kernel, for people.
CROTON_API std::string cuda_source(const Kernel& kernel, const CudaTarget& target = {});

}  // namespace croton
