#include "croton/runtime/cuda_blas.h"

#include <fmt/format.h>

#include "croton/codegen/cuda_library.h"
#include "croton/graph/error.h"

namespace croton::cublaslt {

namespace {

constexpr std::size_t oldest_version = 120800;
constexpr int allocation_failed = 3;

/// 120803 is 12.8.3, 130401 is 13.4.1.
std::string version_text(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

const char* status_text(int status) {
  switch (status) {
    case 1:
      return "not initialised";
    case 3:
      return "no memory";
    case 7:
      return "invalid value";
    case 8:
      return "not on this architecture";
    case 13:
      return "execution failed";
    case 14:
      return "internal error";
    case 15:
      return "not supported";
    default:
      return "unknown";
  }
}

Library open() {
  Library result;
  static const auto* const file = new CudaLibrary(
      {.name = "cuBLASLt",
       .sonames = {"libcublasLt.so.13", "libcublasLt.so.12"},
       .loaded_first = {},
       .how_to_get = "It is part of the CUDA toolkit, and of the Python wheel nvidia-cublas."});
  if (!file->is_open()) {
    result.problem = file->reason();
    return result;
  }
  result.path = file->path();
#define CROTON_CUBLASLT_FIND(member, symbol, type, parameters)                   \
  if (result.problem.empty() && !file->find(symbol, result.member)) {            \
    result.problem = fmt::format("{} has no function {}", file->path(), symbol); \
  }
  CROTON_CUBLASLT_FUNCTIONS(CROTON_CUBLASLT_FIND)
#undef CROTON_CUBLASLT_FIND
  if (!result.problem.empty()) return result;
  const std::size_t version = result.get_version();
  result.version = version_text(version);
  if (version < oldest_version) {
    result.problem = fmt::format("{} is cuBLASLt {}; {} or later is needed", file->path(), result.version,
                                 version_text(oldest_version));
  }
  return result;
}

}  // namespace

const Library& library() {
  static const auto* const opened = new Library(open());
  return *opened;
}

void check(int status, const char* function) {
  if (status == 0) return;
  const std::string text =
      fmt::format("cuBLASLt: {} failed: {} (status {})", function, status_text(status), status);
  if (status == allocation_failed) throw MemoryError(text);
  throw DeviceError(text);
}

}  // namespace croton::cublaslt
