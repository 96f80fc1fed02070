#include "croton/codegen/compiled_kernel.h"

namespace croton {

CompiledKernel::CompiledKernel(std::vector<CompiledPhase> phases, std::vector<ScratchBuffer> scratch,
                               std::shared_ptr<const void> code)
    : phases_(std::move(phases)), scratch_(std::move(scratch)), code_(std::move(code)) {}

void CompiledKernel::run(ThreadPool& pool, void* const* buffers) const noexcept {
  struct Launch {
    PhaseFunction function;
    void* const* buffers;
  };
  for (const CompiledPhase& phase : phases_) {
    if (phase.extent <= phase.grain) {
      phase.function(buffers, 0, phase.extent, 0);
      continue;
    }
    const Launch launch{phase.function, buffers};
    pool.parallel_for(
        phase.extent, phase.grain,
        [](const void* context, std::int64_t begin, std::int64_t end, std::int32_t worker) {
          const auto& l = *static_cast<const Launch*>(context);
          l.function(l.buffers, begin, end, worker);
        },
        &launch);
  }
}

}  // namespace croton
