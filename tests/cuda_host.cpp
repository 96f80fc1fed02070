#include "cuda_host.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/cuda_prelude.h"
#include "places.h"

namespace croton::test {

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// What calls one phase with the pointers of the kernel's buffers.
std::string caller(const CudaKernel::Phase& phase, std::size_t kernel, std::size_t index, bool has_barriers) {
  std::string arguments;
  for (const std::int32_t buffer : phase.buffers) {
    arguments += fmt::format("{}Any{{buffers[{}]}}", arguments.empty() ? "" : ", ", buffer);
  }
  return fmt::format(
      "static void call_{0}_{1}(void* const* buffers) {{ {2}({3}); }}\n"
      "extern \"C\" void run_{0}_{1}(void* const* buffers, unsigned grid, unsigned size, unsigned bytes) {{\n"
      "  block::run(call_{0}_{1}, buffers, grid, size, bytes, {4});\n}}\n",
      kernel, index, phase.function, arguments, has_barriers);
}

}  // namespace

CudaOnHost::CudaOnHost(std::span<const Kernel> kernels, int multiprocessors) {
  std::string text = text_of(source_file("tests/cuda_host_prelude.inc"));
  text += cuda_prelude();
  text += contraction_prelude();
  text += "struct Any { void* p; template <class T> operator T*() const { return (T*)p; } };\n";
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    sources_.push_back(emit_cuda(kernels[i], multiprocessors));
    std::string source = sources_.back().text;
    // Functions are named after their kernels; here several may have one name.
    std::string callers;
    for (std::size_t phase = 0; phase < sources_.back().phases.size(); ++phase) {
      const CudaKernel::Phase& p = sources_.back().phases[phase];
      const std::size_t begin = source.find(p.function + "(");
      const std::size_t end = source.find("\nextern", begin);
      const std::string body = source.substr(begin, end == std::string::npos ? end : end - begin);
      const bool has_barriers =
          body.find("shuffle(") != std::string::npos || body.find("group_barrier(") != std::string::npos ||
          body.find("block_barrier(") != std::string::npos ||
          body.find("is_last_block(") != std::string::npos || body.find("contract<") != std::string::npos ||
          body.find("contract_and_fold<") != std::string::npos ||
          body.find("find_scales<") != std::string::npos;
      callers += caller(p, i, phase, has_barriers);
    }
    for (std::size_t at = 0; (at = source.find("extern \"C\" ", at)) != std::string::npos;)
      source.erase(at, 11);
    text += fmt::format("namespace kernel_{} {{\n{}{}}}\n", i, source, callers);
  }
  code_ = std::make_unique<HostCode>(text);
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    functions_.emplace_back();
    for (std::size_t phase = 0; phase < sources_[i].phases.size(); ++phase) {
      functions_.back().push_back(
          reinterpret_cast<PhaseFunction>(code_->function(fmt::format("run_{}_{}", i, phase))));
    }
  }
}

void CudaOnHost::run(std::size_t kernel, void* const* buffers) const {
  for (std::size_t i = 0; i < functions_[kernel].size(); ++i) {
    const CudaKernel::Phase& phase = sources_[kernel].phases[i];
    functions_[kernel][i](buffers, phase.grid, phase.block, phase.shared_bytes);
  }
}

}  // namespace croton::test
