#include "croton/runtime/cuda_dnn.h"

#include <fmt/format.h>

#include "croton/codegen/cuda_library.h"
#include "croton/graph/error.h"

namespace croton::cudnn {

namespace {

constexpr std::size_t oldest_version = 90000;

/// 91900 is 9.19.0.
std::string version_text(std::size_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

Library open() {
  Library result;
  static const auto* const file = new CudaLibrary(
      {.name = "cuDNN",
       .sonames = {"libcudnn.so.9"},
       .loaded_first = {},
       .how_to_get = "NVIDIA offers it for itself, and as the Python wheels nvidia-cudnn-cu13 "
                     "and nvidia-cudnn-cu12."});
  if (!file->is_open()) {
    result.problem = file->reason();
    return result;
  }
  result.path = file->path();
#define CROTON_CUDNN_FIND(member, symbol, type, parameters)                      \
  if (result.problem.empty() && !file->find(symbol, result.member)) {            \
    result.problem = fmt::format("{} has no function {}", file->path(), symbol); \
  }
  CROTON_CUDNN_FUNCTIONS(CROTON_CUDNN_FIND)
#undef CROTON_CUDNN_FIND
  if (!result.problem.empty()) return result;
  const std::size_t version = result.get_version();
  result.version = version_text(version);
  if (version < oldest_version) {
    result.problem = fmt::format("{} is cuDNN {}; {} or later is needed", file->path(), result.version,
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
  throw DeviceError(
      fmt::format("cuDNN: {} failed: {} (status {})", function, library().get_error(status), status));
}

}  // namespace croton::cudnn
