#include "croton/runtime/cuda_blas.h"

#include <fmt/format.h>

#include <mutex>

#include "croton/codegen/cuda_function_table.h"
#include "croton/graph/error.h"

namespace croton::cublaslt {

namespace {

constexpr std::size_t oldest_version = 120800;
constexpr int allocation_failed = 3;

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
  return open_cuda_function_table<Library>(
      {.name = "cuBLASLt",
       .sonames = {"libcublasLt.so.13", "libcublasLt.so.12"},
       .loaded_first = {},
       .how_to_get = "It is part of the CUDA toolkit, and of the Python wheel nvidia-cublas."},
      oldest_version, [](Library& table, auto&& find) {
#define CROTON_CUBLASLT_FIND(member, symbol, type, parameters) find(symbol, table.member);
        CROTON_CUBLASLT_FUNCTIONS(CROTON_CUBLASLT_FIND)
#undef CROTON_CUBLASLT_FIND
      });
}

}  // namespace

const Library& library() {
  static const auto* const opened = new Library(open());
  return *opened;
}

void warm_up() {
  const Library& blas = library();
  if (!blas.problem.empty()) return;
  constexpr std::uint64_t extent = 256;
  static std::mutex mutex;
  static Handle handle = nullptr;  // stays: it holds what was loaded
  const std::lock_guard guard(mutex);
  OwnedOperation operation;
  OwnedMatrix matrix;
  OwnedPreference preference;
  if (handle == nullptr) check(blas.create(&handle), "cublasLtCreate");
  check(blas.operation_create(operation.place(), compute_32, real_32), "cublasLtMatmulDescCreate");
  check(blas.matrix_create(matrix.place(), real_32, extent, extent, extent), "cublasLtMatrixLayoutCreate");
  check(blas.preference_create(preference.place()), "cublasLtMatmulPreferenceCreate");
  HeuristicResult result{};
  int found = 0;
  check(blas.heuristic(handle, operation, matrix, matrix, matrix, matrix, preference, 1, &result, &found),
        "cublasLtMatmulAlgoGetHeuristic");
}

void check(int status, const char* function) {
  if (status == 0) return;
  const std::string text =
      fmt::format("cuBLASLt: {} failed: {} (status {})", function, status_text(status), status);
  if (status == allocation_failed) throw MemoryError(text);
  throw DeviceError(text);
}

}  // namespace croton::cublaslt
