#pragma once

#include <cstddef>
#include <string>

#include "croton/graph/export.h"
#include "croton/runtime/cuda_driver.h"

/// cuDNN 9, opened at run time. The declarations are our own, of the functions that are used; a test compares
/// them with NVIDIA's headers where there are any.
namespace croton::cudnn {

using Handle = struct HandleContent*;
using TensorDescriptor = struct TensorContent*;
using FilterDescriptor = struct FilterContent*;
using ConvolutionDescriptor = struct ConvolutionContent*;

enum DataType : int { real_32 = 0, real_64 = 1, real_16 = 2, brain_16 = 9 };
enum FilterFormat : int { channels_first = 0 };
enum ConvolutionMode : int { convolution = 0, cross_correlation = 1 };
enum MathType : int { default_math = 0, fused_multiply_add_math = 3 };
enum Determinism : int { not_deterministic = 0, is_deterministic = 1 };

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
     std::size_t workspace_bytes, const void* beta, FilterDescriptor dw_layout, void* dw))

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
/// Opens the parts of the library that the first convolution would wait for.
void open_engines();

/// Throws DeviceError that names the function unless `status` is success.
void check(int status, const char* function);

}  // namespace croton::cudnn
