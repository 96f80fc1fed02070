#include "croton/codegen/cuda_nvrtc.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/cuda_library.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

// The part of nvrtc.h that is used: an opaque program and C functions whose result is 0 when all went well.
using Program = struct NvrtcProgram*;
using Result = int;

struct Nvrtc {
  NvrtcInfo info;
  Result (*version)(int*, int*) = nullptr;
  Result (*count_architectures)(int*) = nullptr;
  Result (*list_architectures)(int*) = nullptr;
  const char* (*error_text)(Result) = nullptr;
  Result (*create)(Program*, const char* source, const char* name, int headers, const char* const*,
                   const char* const*) = nullptr;
  Result (*destroy)(Program*) = nullptr;
  Result (*compile)(Program, int options, const char* const*) = nullptr;
  Result (*log_size)(Program, std::size_t*) = nullptr;
  Result (*log)(Program, char*) = nullptr;
  Result (*cubin_size)(Program, std::size_t*) = nullptr;
  Result (*cubin)(Program, char*) = nullptr;

  Nvrtc() {
    const CudaLibrary library({"NVRTC (the CUDA compiler library)",
                               {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"},
                               {"libnvrtc-builtins.so"},
                               "Install the CUDA toolkit 12.8 or later, or run tools/cuda_wheels, or: "
                               "pip install nvidia-cuda-nvrtc"});
    info.path = library.path();
    info.reason = library.reason();
    if (!library.is_open()) return;
    const bool is_whole =
        library.find("nvrtcVersion", version) &&
        library.find("nvrtcGetNumSupportedArchs", count_architectures) &&
        library.find("nvrtcGetSupportedArchs", list_architectures) &&
        library.find("nvrtcGetErrorString", error_text) && library.find("nvrtcCreateProgram", create) &&
        library.find("nvrtcDestroyProgram", destroy) && library.find("nvrtcCompileProgram", compile) &&
        library.find("nvrtcGetProgramLogSize", log_size) && library.find("nvrtcGetProgramLog", log) &&
        library.find("nvrtcGetCUBINSize", cubin_size) && library.find("nvrtcGetCUBIN", cubin);
    if (!is_whole) {
      info.reason =
          fmt::format("{} is too old for Croton: it lacks functions of CUDA 11.2 and later", library.path());
      return;
    }
    int count = 0;
    version(&info.major, &info.minor);
    if (count_architectures(&count) == 0 && count > 0) {
      info.architectures.resize(static_cast<std::size_t>(count));
      list_architectures(info.architectures.data());
    }
    info.is_available = true;
  }
};

const Nvrtc& nvrtc() {
  static const Nvrtc* const nvrtc = new Nvrtc;  // kernels may be compiled while statics end
  return *nvrtc;
}

class OpenProgram {
 public:
  OpenProgram(const Nvrtc& n, std::string_view source, const std::string& name) : n_(n) {
    check(n.create(&program_, std::string(source).c_str(), name.c_str(), 0, nullptr, nullptr));
  }
  ~OpenProgram() { n_.destroy(&program_); }
  OpenProgram(const OpenProgram&) = delete;
  OpenProgram& operator=(const OpenProgram&) = delete;

  void compile(std::span<const std::string> options) {
    std::vector<const char*> pointers;
    for (const std::string& option : options) pointers.push_back(option.c_str());
    const Result result = n_.compile(program_, static_cast<int>(pointers.size()), pointers.data());
    if (result == 0) return;
    const std::string messages = text(n_.log_size, n_.log);
    // 7: the builtins, a second library that NVRTC opens by name, were not found.
    if (result == 7) {
      throw DeviceError(
          fmt::format("NVRTC ({}) did not find its library libnvrtc-builtins.so.{}.{}: it "
                      "belongs into the same folder. Install the package again",
                      n_.info.path, n_.info.major, n_.info.minor));
    }
    throw InternalError(
        fmt::format("generated CUDA code does not compile ({}):\n{}", n_.error_text(result), messages));
  }
  std::string text(Result (*size)(Program, std::size_t*), Result (*get)(Program, char*)) {
    std::size_t bytes = 0;
    check(size(program_, &bytes));
    std::string result(bytes, '\0');
    if (bytes > 0) check(get(program_, result.data()));
    return result;
  }

 private:
  void check(Result result) const {
    if (result != 0) throw DeviceError(fmt::format("NVRTC: {}", n_.error_text(result)));
  }

  const Nvrtc& n_;
  Program program_ = nullptr;
};

const Nvrtc& nvrtc_for(int architecture) {
  const Nvrtc& n = nvrtc();
  if (!n.info.is_available) throw DeviceError(n.info.reason);
  const std::vector<int>& known = n.info.architectures;
  if (known.empty() || std::ranges::find(known, architecture) != known.end()) return n;
  throw DeviceError(fmt::format(
      "NVRTC {}.{} ({}) does not compile for compute capability {}.{}; it knows {}. {}", n.info.major,
      n.info.minor, n.info.path, architecture / 10, architecture % 10, fmt::join(known, ", "),
      architecture > known.back() ? "Install a newer CUDA toolkit"
                                  : "This GPU is older than Croton supports"));
}

// Products and sums are fused where the loop IR says so, and nowhere else: results are the same on every
// architecture. Without textures and what kernels could launch themselves the compiler takes a tenth less
// time.
constexpr const char* language_options[] = {"--std=c++17", "--fmad=false", "--minimal"};

std::vector<std::string> options_for(std::string architecture) {
  std::vector<std::string> options(std::begin(language_options), std::end(language_options));
  options.push_back("--gpu-architecture=" + std::move(architecture));
  return options;
}

/// With the instructions that only this architecture has, where there are such: code is compiled for the GPU
/// that runs it.
std::string name_of_architecture(int architecture) {
  return fmt::format("{}{}", architecture, has_warpgroup_products(architecture) ? "a" : "");
}

}  // namespace

const NvrtcInfo& nvrtc_info() { return nvrtc().info; }

std::string compile_cuda_source(std::string_view source, const std::string& name, int architecture) {
  const Nvrtc& n = nvrtc_for(architecture);
  OpenProgram program(n, source, name);
  program.compile(options_for("sm_" + name_of_architecture(architecture)));
  return program.text(n.cubin_size, n.cubin);
}

}  // namespace croton
