#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/loop_ir.h"
#include "croton/codegen/thread_pool.h"
#include "croton/graph/export.h"

namespace croton {

/// A kernel in machine code. Immutable; may be run by several threads at once (on different buffers).
class CROTON_API CompiledKernel {
 public:
  /// The C interface of generated code: runs indices begin … end - 1 of one phase.
  using PhaseFunction = void (*)(void* const* buffers, std::int64_t begin, std::int64_t end,
                                 std::int32_t worker);
  struct CompiledPhase {
    PhaseFunction function = nullptr;
    std::int64_t extent = 1;
    std::int64_t grain = 1;  ///< a phase with extent <= grain runs on the calling thread
  };
  struct ScratchBuffer {
    std::int32_t buffer = 0;  ///< its position in `buffers`
    std::int64_t bytes = 0;
  };

  CompiledKernel(std::vector<CompiledPhase> phases, std::vector<ScratchBuffer> scratch,
                 std::shared_ptr<const void> code);

  /// Runs all phases. buffers: the kernel's buffers in the order of declaration, scratch included, aligned to
  /// their elements (64 bytes is faster). Allocates nothing.
  void run(ThreadPool& pool, void* const* buffers) const noexcept;

  const std::vector<CompiledPhase>& phases() const { return phases_; }
  const std::vector<ScratchBuffer>& scratch() const { return scratch_; }

 private:
  std::vector<CompiledPhase> phases_;
  std::vector<ScratchBuffer> scratch_;
  std::shared_ptr<const void> code_;  ///< keeps the machine code mapped
};

/// What code is made for.
struct Target {
  std::string cpu;       ///< LLVM's name; empty: this machine's
  std::string features;  ///< "+avx2,-avx512f": added to the cpu's own
  /// Bytes of the vectors used; 0: the widest the cpu has.
  int vector_bytes = 0;
};

/// The texts of a compiled kernel, for people.
struct KernelSource {
  std::string loop_ir;
  std::string llvm_ir;
  std::string assembly;
};

struct CompileOptions {
  Target target;
  bool use_cache = true;  ///< the one on disk; kernels that are in use are found in any case
};

/// Compiles kernels, equal ones once (in the process, and on disk). Order of results is that of kernels.
/// Throws InternalError when a kernel is malformed. May be called from any thread.
CROTON_API std::vector<std::shared_ptr<const CompiledKernel>> compile(std::span<const Kernel> kernels,
                                                                      const CompileOptions& options = {});
CROTON_API std::shared_ptr<const CompiledKernel> compile(const Kernel& kernel,
                                                         const CompileOptions& options = {});

/// The texts, made anew.
CROTON_API KernelSource dump(const Kernel& kernel, const CompileOptions& options = {});

/// "LLVM 19.1.7, znver4, 64-byte vectors".
CROTON_API std::string describe_target(const Target& target = {});

}  // namespace croton
