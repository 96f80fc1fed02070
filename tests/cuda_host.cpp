#include "cuda_host.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

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

bool has_host_compiler() {
  const bool is_there = std::system(CROTON_CXX_COMPILER " --version > /dev/null 2>&1") == 0;
  if (!is_there) WARN("not tested: " CROTON_CXX_COMPILER " is not installed");
  return is_there;
}

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
  static std::atomic<int> counter{0};
  const fs::path stem =
      fs::temp_directory_path() / fmt::format("croton-cuda-host-{}-{}", getpid(), counter++);
  const std::string source = stem.string() + ".cpp", library = stem.string() + ".so",
                    log = stem.string() + ".log";
  std::ofstream(source) << text;
  const std::string command =
      fmt::format("{} -std=c++17 -O0 -w -shared -fPIC -ffp-contract=off -o {} {} > {} 2>&1",
                  CROTON_CXX_COMPILER, library, source, log);
  const bool is_compiled = std::system(command.c_str()) == 0;
  const std::string messages = text_of(log);
  if (is_compiled) library_ = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  for (const std::string& file : {library, log}) fs::remove(file);
  if (library_ == nullptr) {
    throw std::runtime_error(fmt::format("{} does not compile:\n{}", source, messages.substr(0, 4000)));
  }
  fs::remove(source);
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    functions_.emplace_back();
    for (std::size_t phase = 0; phase < sources_[i].phases.size(); ++phase) {
      functions_.back().push_back(
          reinterpret_cast<PhaseFunction>(::dlsym(library_, fmt::format("run_{}_{}", i, phase).c_str())));
    }
  }
}

CudaOnHost::~CudaOnHost() {
  if (library_ != nullptr) ::dlclose(library_);
}

void CudaOnHost::run(std::size_t kernel, void* const* buffers) const {
  for (std::size_t i = 0; i < functions_[kernel].size(); ++i) {
    const CudaKernel::Phase& phase = sources_[kernel].phases[i];
    functions_[kernel][i](buffers, phase.grid, phase.block, phase.shared_bytes);
  }
}

}  // namespace croton::test
