#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/runtime/cuda_driver.h"
#include "croton/runtime/cuda_library_object.h"

namespace croton {
class CudaDevice;
}

/// cuDNN 9, opened at run time. The declarations are our own, of the functions that are used; a test compares
/// them with NVIDIA's headers where there are any.
namespace croton::cudnn {

using Handle = struct HandleContent*;
using TensorDescriptor = struct TensorContent*;
using FilterDescriptor = struct FilterContent*;
using ConvolutionDescriptor = struct ConvolutionContent*;
using BackendDescriptor = void*;  // of the graph API

enum DataType : int { real_32 = 0, real_64 = 1, real_16 = 2, brain_16 = 9 };
enum FilterFormat : int { channels_first = 0 };
enum ConvolutionMode : int { convolution = 0, cross_correlation = 1 };
enum MathType : int { default_math = 0, fused_multiply_add_math = 3 };
enum Determinism : int { not_deterministic = 0, is_deterministic = 1 };

// The graph API: descriptors of kinds, whose attributes have types.

enum DescriptorKind : int {
  convolution_descriptor = 1,
  engine_descriptor = 2,
  engine_configuration = 3,
  engine_heuristic = 4,
  execution_plan = 5,
  forward_operation = 10,
  weights_operation = 11,
  inputs_operation = 12,
  operation_graph = 15,
  variant_pack = 16,
  tensor_descriptor = 17,
};

enum AttributeType : int {
  type_handle = 0,
  type_data_type = 1,
  type_int64 = 3,
  type_float = 4,
  type_double = 5,
  type_pointer = 6,
  type_convolution_mode = 7,
  type_heuristic_mode = 8,
  type_numerical_note = 11,
  type_descriptor = 15,
};

enum Attribute : int {
  convolution_sum_type = 100,
  convolution_mode = 101,
  convolution_dilation = 102,
  convolution_stride = 103,
  convolution_pad_behind = 104,
  convolution_pad_before = 105,
  convolution_axes = 106,
  heuristic_mode = 200,
  heuristic_graph = 201,
  heuristic_results = 202,
  configuration_engine = 300,
  plan_handle = 400,
  plan_configuration = 401,
  plan_workspace = 402,
  forward_alpha = 700,
  forward_beta = 701,
  forward_convolution = 702,
  forward_filters = 703,
  forward_image = 704,
  forward_output = 705,
  inputs_alpha = 706,
  inputs_beta = 707,
  inputs_convolution = 708,
  inputs_filters = 709,
  inputs_image = 710,
  inputs_output = 711,
  weights_alpha = 712,
  weights_beta = 713,
  weights_convolution = 714,
  weights_filters = 715,
  weights_image = 716,
  weights_output = 717,
  graph_handle = 800,
  graph_operations = 801,
  tensor_alignment = 900,
  tensor_data_type = 901,
  tensor_extents = 902,
  tensor_strides = 903,
  tensor_name = 906,
  pack_names = 1000,
  pack_pointers = 1001,
  pack_workspace = 1003,
  engine_numerical_notes = 1303,
};

enum HeuristicMode : int { heuristic_b = 1, heuristic_fallback = 2, heuristic_a = 3 };

enum NumericalNote : int {
  by_tensor_cores = 0,
  converts_operands_down = 1,
  adds_up_in_less = 2,
  by_fourier_transforms = 3,
  may_differ_between_runs = 4,
  by_winograd = 5,
};

/// cudnnConvolutionFwdAlgoPerf_t and those of the gradients, which are alike: one algorithm and what the
/// heuristic thinks of it.
struct Performance {
  int algorithm;
  int status;  // 0 is success
  float milliseconds;
  std::size_t workspace_bytes;
  int determinism;
  int math;
  int reserved[3];
};

/// A row each: C(member, symbol in the library, result, parameters).
#define CROTON_CUDNN_FUNCTIONS(C)                                                                            \
  C(get_version, "cudnnGetVersion", std::size_t, ())                                                         \
  C(get_error, "cudnnGetErrorString", const char*, (int status))                                             \
  C(create, "cudnnCreate", int, (Handle * handle))                                                           \
  C(set_stream, "cudnnSetStream", int, (Handle handle, CUstream stream))                                     \
  C(tensor_create, "cudnnCreateTensorDescriptor", int, (TensorDescriptor * made))                            \
  C(tensor_destroy, "cudnnDestroyTensorDescriptor", int, (TensorDescriptor tensor))                          \
  C(tensor_set, "cudnnSetTensorNdDescriptor", int,                                                           \
    (TensorDescriptor tensor, int type, int rank, const int* extents, const int* strides))                   \
  C(filter_create, "cudnnCreateFilterDescriptor", int, (FilterDescriptor * made))                            \
  C(filter_destroy, "cudnnDestroyFilterDescriptor", int, (FilterDescriptor filter))                          \
  C(filter_set, "cudnnSetFilterNdDescriptor", int,                                                           \
    (FilterDescriptor filter, int type, int format, int rank, const int* extents))                           \
  C(convolution_create, "cudnnCreateConvolutionDescriptor", int, (ConvolutionDescriptor * made))             \
  C(convolution_destroy, "cudnnDestroyConvolutionDescriptor", int, (ConvolutionDescriptor convolution))      \
  C(convolution_set, "cudnnSetConvolutionNdDescriptor", int,                                                 \
    (ConvolutionDescriptor convolution, int axes, const int* pad, const int* stride, const int* dilation,    \
     int mode, int compute_type))                                                                            \
  C(convolution_set_groups, "cudnnSetConvolutionGroupCount", int,                                            \
    (ConvolutionDescriptor convolution, int groups))                                                         \
  C(convolution_set_math, "cudnnSetConvolutionMathType", int, (ConvolutionDescriptor convolution, int math)) \
  C(forward_algorithms, "cudnnGetConvolutionForwardAlgorithm_v7", int,                                       \
    (Handle handle, TensorDescriptor x, FilterDescriptor w, ConvolutionDescriptor convolution,               \
     TensorDescriptor y, int wanted, int* found, Performance* results))                                      \
  C(data_algorithms, "cudnnGetConvolutionBackwardDataAlgorithm_v7", int,                                     \
    (Handle handle, FilterDescriptor w, TensorDescriptor dy, ConvolutionDescriptor convolution,              \
     TensorDescriptor dx, int wanted, int* found, Performance* results))                                     \
  C(filter_algorithms, "cudnnGetConvolutionBackwardFilterAlgorithm_v7", int,                                 \
    (Handle handle, TensorDescriptor x, TensorDescriptor dy, ConvolutionDescriptor convolution,              \
     FilterDescriptor dw, int wanted, int* found, Performance* results))                                     \
  C(forward, "cudnnConvolutionForward", int,                                                                 \
    (Handle handle, const void* alpha, TensorDescriptor x_layout, const void* x, FilterDescriptor w_layout,  \
     const void* w, ConvolutionDescriptor convolution, int algorithm, void* workspace,                       \
     std::size_t workspace_bytes, const void* beta, TensorDescriptor y_layout, void* y))                     \
  C(backward_data, "cudnnConvolutionBackwardData", int,                                                      \
    (Handle handle, const void* alpha, FilterDescriptor w_layout, const void* w, TensorDescriptor dy_layout, \
     const void* dy, ConvolutionDescriptor convolution, int algorithm, void* workspace,                      \
     std::size_t workspace_bytes, const void* beta, TensorDescriptor dx_layout, void* dx))                   \
  C(backward_filter, "cudnnConvolutionBackwardFilter", int,                                                  \
    (Handle handle, const void* alpha, TensorDescriptor x_layout, const void* x, TensorDescriptor dy_layout, \
     const void* dy, ConvolutionDescriptor convolution, int algorithm, void* workspace,                      \
     std::size_t workspace_bytes, const void* beta, FilterDescriptor dw_layout, void* dw))                   \
  C(backend_create, "cudnnBackendCreateDescriptor", int, (int kind, BackendDescriptor* made))                \
  C(backend_destroy, "cudnnBackendDestroyDescriptor", int, (BackendDescriptor descriptor))                   \
  C(backend_finalize, "cudnnBackendFinalize", int, (BackendDescriptor descriptor))                           \
  C(backend_set, "cudnnBackendSetAttribute", int,                                                            \
    (BackendDescriptor descriptor, int attribute, int type, std::int64_t count, const void* values))         \
  C(backend_get, "cudnnBackendGetAttribute", int,                                                            \
    (BackendDescriptor descriptor, int attribute, int type, std::int64_t wanted, std::int64_t* count,        \
     void* values))                                                                                          \
  C(backend_execute, "cudnnBackendExecute", int,                                                             \
    (Handle handle, BackendDescriptor plan, BackendDescriptor pack))

struct Library {
#define CROTON_CUDNN_POINTER(member, symbol, result, parameters) result(*member) parameters = nullptr;
  CROTON_CUDNN_FUNCTIONS(CROTON_CUDNN_POINTER)
#undef CROTON_CUDNN_POINTER
  std::string path;     ///< the file; empty when there is none
  std::string version;  ///< "9.19.0"
  std::string problem;  ///< why there is none that can be used; empty when there is
};

/// Opened by the first call; never throws. Needs no GPU.
CROTON_API const Library& library();

using OwnedTensor = CudaLibraryObject<&library, &Library::tensor_destroy>;
using OwnedFilter = CudaLibraryObject<&library, &Library::filter_destroy>;
using OwnedConvolution = CudaLibraryObject<&library, &Library::convolution_destroy>;
/// Opens the parts of the library that the first convolution would wait for.
void open_engines();

/// The one of a device, made when first needed, never destroyed: the library outlives us at the end of a
/// process. It is used with the device's mutex held.
Handle handle_of(const CudaDevice& device);

/// The library's number of a dtype; nothing where it has none.
std::optional<int> data_type_of(DType dtype);
/// In which of these types the library adds up: what `precision` (the flag dnn.conv.precision) says, where it
/// has that for the operands' type.
int type_of_sums(int type, std::string_view precision);

/// Throws DeviceError that names the function unless `status` is success.
void check(int status, const char* function);

}  // namespace croton::cudnn
