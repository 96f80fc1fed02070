#include "croton/runtime/cuda_nvtx.h"

#include "croton/codegen/cuda_library.h"

namespace croton {

namespace {

struct Nvtx {
  int (*push)(const char* name) = nullptr;
  int (*pop)() = nullptr;
  std::string problem;

  Nvtx() {
    const CudaLibrary library({.name = "NVTX",
                               .sonames = {"libnvtx3interop.so.1", "libnvToolsExt.so.1"},
                               .loaded_first = {},
                               .how_to_get = "It is part of the CUDA toolkit, and of the Python wheel "
                                             "nvidia-nvtx."});
    problem = library.reason();
    if (!library.is_open()) return;
    if (!library.find("nvtxRangePushA", push) || !library.find("nvtxRangePop", pop)) {
      problem = library.path() + " has no function nvtxRangePushA";
      push = nullptr;
    }
  }
};

const Nvtx& nvtx() {
  static const auto* const opened = new Nvtx;
  return *opened;
}

}  // namespace

const std::string& nvtx_problem() { return nvtx().problem; }

NvtxRange::NvtxRange(const char* name) {
  if (name == nullptr || nvtx().push == nullptr) return;
  nvtx().push(name);
  is_open_ = true;
}

NvtxRange::~NvtxRange() {
  if (is_open_) nvtx().pop();
}

}  // namespace croton
