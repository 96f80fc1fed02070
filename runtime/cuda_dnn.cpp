#include "croton/runtime/cuda_dnn.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "croton/codegen/cuda_function_table.h"
#include "croton/graph/error.h"
#include "croton/runtime/cuda_device.h"

namespace croton::cudnn {

namespace {

constexpr std::size_t oldest_version = 90000;

Library open() {
  return open_cuda_function_table<Library>(
      {.name = "cuDNN",
       .sonames = {"libcudnn.so.9"},
       .loaded_first = {},
       .how_to_get = "NVIDIA offers it for itself, and as the Python wheels nvidia-cudnn-cu13 "
                     "and nvidia-cudnn-cu12."},
      oldest_version, [](Library& table, auto&& find) {
#define CROTON_CUDNN_FIND(member, symbol, type, parameters) find(symbol, table.member);
        CROTON_CUDNN_FUNCTIONS(CROTON_CUDNN_FIND)
#undef CROTON_CUDNN_FIND
      });
}

}  // namespace

const Library& library() {
  static const auto* const opened = new Library(open());
  return *opened;
}

void open_engines() {
  // It opens them by their names when the first convolution runs; the second opening costs nothing.
  const std::string& path = library().path;
  const std::size_t folder = path.rfind('/');
  if (!library().problem.empty() || folder == std::string::npos) return;
  for (const char* part : {"graph", "engines_precompiled"}) {
    (void)::dlopen((path.substr(0, folder) + "/libcudnn_" + part + ".so.9").c_str(), RTLD_NOW | RTLD_LOCAL);
  }
}

Handle handle_of(const CudaDevice& device) {
  static std::mutex mutex;
  static auto* const handles = new std::map<int, Handle>;
  const std::lock_guard lock(mutex);
  Handle& handle = (*handles)[device.ordinal()];
  if (handle == nullptr) check(library().create(&handle), "cudnnCreate");
  return handle;
}

std::optional<int> data_type_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return real_16;
    case DType::bfloat16:
      return brain_16;
    case DType::float32:
      return real_32;
    case DType::float64:
      return real_64;
    default:
      return std::nullopt;
  }
}

int type_of_sums(int type, std::string_view precision) {
  if (type == real_64) return real_64;
  const bool is_half = type == real_16 && (precision == "as_input" || precision == "float16");
  return is_half ? real_16 : real_32;
}

void check(int status, const char* function) {
  if (status == 0) return;
  throw DeviceError(
      fmt::format("cuDNN: {} failed: {} (status {})", function, library().get_error(status), status));
}

}  // namespace croton::cudnn
