#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "croton/graph/export.h"
#include "croton/runtime/cuda_driver.h"
#include "croton/runtime/cuda_library_object.h"

/// cuBLASLt, opened at run time. The declarations are our own: of the functions that are used, the same in
/// versions 12.8 to 13. A test compares them with NVIDIA's headers where there are any.
namespace croton::cublaslt {

using Handle = struct HandleContent*;
using Operation = struct OperationContent*;    // cublasLtMatmulDesc_t
using Matrix = struct MatrixContent*;          // cublasLtMatrixLayout_t
using Preference = struct PreferenceContent*;  // cublasLtMatmulPreference_t

/// cublasLtMatmulAlgo_t: opaque.
struct Algorithm {
  std::uint64_t data[8];
};
/// cublasLtMatmulHeuristicResult_t.
struct HeuristicResult {
  Algorithm algorithm;
  std::size_t workspace_bytes;
  int status;  // of this entry: 0 is success
  float waves;
  int reserved[4];
};

enum DataType : int { real_16 = 2, brain_16 = 14, real_32 = 0, real_64 = 1 };
enum ComputeType : int {
  compute_32 = 68,
  compute_32_by_bfloat16 = 75,
  compute_32_by_tf32 = 77,
  compute_64 = 70
};
enum Transposition : int { plain = 0, transposed = 1 };
enum OperationAttribute : int {
  pointer_mode = 2,
  transposition_a = 3,
  transposition_b = 4,
  epilogue = 7,
  bias_pointer = 8
};
enum PointerMode : int { host_pointers = 0, device_pointers = 1 };
enum Epilogue : int { no_epilogue = 1, take_relu = 2, add_bias = 4, add_bias_take_relu = 6 };
enum PreferenceAttribute : int {
  most_workspace_bytes = 1,
  least_alignment_a = 5,
  least_alignment_b = 6,
  least_alignment_c = 7,
  least_alignment_d = 8
};

/// A row each: C(member, symbol in the library, result, parameters).
#define CROTON_CUBLASLT_FUNCTIONS(C)                                                                         \
  C(get_version, "cublasLtGetVersion", std::size_t, ())                                                      \
  C(create, "cublasLtCreate", int, (Handle * handle))                                                        \
  C(operation_create, "cublasLtMatmulDescCreate", int, (Operation * made, int compute_type, int scale_type)) \
  C(operation_destroy, "cublasLtMatmulDescDestroy", int, (Operation operation))                              \
  C(operation_set, "cublasLtMatmulDescSetAttribute", int,                                                    \
    (Operation operation, int attribute, const void* value, std::size_t bytes))                              \
  C(matrix_create, "cublasLtMatrixLayoutCreate", int,                                                        \
    (Matrix * made, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t leading))              \
  C(matrix_destroy, "cublasLtMatrixLayoutDestroy", int, (Matrix matrix))                                     \
  C(preference_create, "cublasLtMatmulPreferenceCreate", int, (Preference * made))                           \
  C(preference_destroy, "cublasLtMatmulPreferenceDestroy", int, (Preference preference))                     \
  C(preference_set, "cublasLtMatmulPreferenceSetAttribute", int,                                             \
    (Preference preference, int attribute, const void* value, std::size_t bytes))                            \
  C(heuristic, "cublasLtMatmulAlgoGetHeuristic", int,                                                        \
    (Handle handle, Operation operation, Matrix a, Matrix b, Matrix c, Matrix d, Preference preference,      \
     int wanted, HeuristicResult* results, int* found))                                                      \
  C(multiply, "cublasLtMatmul", int,                                                                         \
    (Handle handle, Operation operation, const void* alpha, const void* a, Matrix a_layout, const void* b,   \
     Matrix b_layout, const void* beta, const void* c, Matrix c_layout, void* d, Matrix d_layout,            \
     const Algorithm* algorithm, void* workspace, std::size_t workspace_bytes, CUstream stream))

struct Library {
#define CROTON_CUBLASLT_POINTER(member, symbol, result, parameters) result(*member) parameters = nullptr;
  CROTON_CUBLASLT_FUNCTIONS(CROTON_CUBLASLT_POINTER)
#undef CROTON_CUBLASLT_POINTER
  std::string path;     ///< the file; empty when there is none
  std::string version;  ///< "13.4.1"
  std::string problem;  ///< why there is none that can be used; empty when there is
};

/// Opened by the first call; never throws. Needs no GPU.
CROTON_API const Library& library();

using OwnedOperation = CudaLibraryObject<&library, &Library::operation_destroy>;
using OwnedMatrix = CudaLibraryObject<&library, &Library::matrix_destroy>;
using OwnedPreference = CudaLibraryObject<&library, &Library::preference_destroy>;

/// Has the library look up an algorithm, for which it loads tables the first time (a tenth of a second). The
/// device's context is current. Throws DeviceError.
void warm_up();

/// Throws unless `status` is success: MemoryError, otherwise DeviceError that names the function.
void check(int status, const char* function);

}  // namespace croton::cublaslt
