// Our declarations of NVIDIA's libraries against its own headers, where there are any.

#include <catch2/catch.hpp>
#include <cstddef>
#include <type_traits>

#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_dnn.h"

#ifdef CROTON_CUDA_HEADERS
#include <cublasLt.h>
#endif
#ifdef CROTON_CUDNN_HEADERS
#include <cudnn.h>
#endif

namespace {

#if defined(CROTON_CUDA_HEADERS) || defined(CROTON_CUDNN_HEADERS)

/// Passed in the same way: both pointers, both integers or enums of one size, both floating.
template <class Ours, class Theirs>
constexpr bool same_argument() {
  using A = std::decay_t<Ours>;
  using B = std::decay_t<Theirs>;
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
    return std::is_void_v<A> && std::is_void_v<B>;
  } else {
    return sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
           std::is_floating_point_v<A> == std::is_floating_point_v<B>;
  }
}

template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class R, class... As, class S, class... Bs>
  requires(sizeof...(As) == sizeof...(Bs))
struct SameCall<R (*)(As...), S (*)(Bs...)>
    : std::bool_constant<same_argument<R, S>() && (same_argument<As, Bs>() && ...)> {};

#endif

}  // namespace

#ifdef CROTON_CUDA_HEADERS
TEST_CASE("cuBLASLt is declared as in NVIDIA's headers", "[runtime][cuda][declarations]") {
  using namespace croton::cublaslt;
  const auto same = [](auto ours, auto theirs) { return SameCall<decltype(ours), decltype(theirs)>::value; };
  const Library l;
  CHECK(same(l.get_version, &cublasLtGetVersion));
  CHECK(same(l.create, &cublasLtCreate));
  CHECK(same(l.operation_create, &cublasLtMatmulDescCreate));
  CHECK(same(l.operation_destroy, &cublasLtMatmulDescDestroy));
  CHECK(same(l.operation_set, &cublasLtMatmulDescSetAttribute));
  CHECK(same(l.matrix_create, &cublasLtMatrixLayoutCreate));
  CHECK(same(l.matrix_destroy, &cublasLtMatrixLayoutDestroy));
  CHECK(same(l.preference_create, &cublasLtMatmulPreferenceCreate));
  CHECK(same(l.preference_destroy, &cublasLtMatmulPreferenceDestroy));
  CHECK(same(l.preference_set, &cublasLtMatmulPreferenceSetAttribute));
  CHECK(same(l.heuristic, &cublasLtMatmulAlgoGetHeuristic));
  CHECK(same(l.multiply, &cublasLtMatmul));
  CHECK(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));
  CHECK(sizeof(HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
  CHECK(offsetof(HeuristicResult, workspace_bytes) ==
        offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
  CHECK(offsetof(HeuristicResult, status) == offsetof(cublasLtMatmulHeuristicResult_t, state));
  const int pairs[][2] = {
      {real_16, CUDA_R_16F},
      {brain_16, CUDA_R_16BF},
      {real_32, CUDA_R_32F},
      {real_64, CUDA_R_64F},
      {compute_32, CUBLAS_COMPUTE_32F},
      {compute_32_by_bfloat16, CUBLAS_COMPUTE_32F_FAST_16BF},
      {compute_32_by_tf32, CUBLAS_COMPUTE_32F_FAST_TF32},
      {compute_64, CUBLAS_COMPUTE_64F},
      {plain, CUBLAS_OP_N},
      {no_epilogue, CUBLASLT_EPILOGUE_DEFAULT},
      {take_relu, CUBLASLT_EPILOGUE_RELU},
      {add_bias, CUBLASLT_EPILOGUE_BIAS},
      {add_bias_take_relu, CUBLASLT_EPILOGUE_RELU_BIAS},
      {transposed, CUBLAS_OP_T},
      {pointer_mode, CUBLASLT_MATMUL_DESC_POINTER_MODE},
      {transposition_a, CUBLASLT_MATMUL_DESC_TRANSA},
      {transposition_b, CUBLASLT_MATMUL_DESC_TRANSB},
      {epilogue, CUBLASLT_MATMUL_DESC_EPILOGUE},
      {bias_pointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER},
      {host_pointers, CUBLASLT_POINTER_MODE_HOST},
      {device_pointers, CUBLASLT_POINTER_MODE_DEVICE},
      {most_workspace_bytes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES},
      {least_alignment_a, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES},
      {least_alignment_b, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES},
      {least_alignment_c, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES},
      {least_alignment_d, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES},
  };
  for (const auto& [ours, theirs] : pairs) CHECK(ours == theirs);
}
#endif

#ifdef CROTON_CUDNN_HEADERS
TEST_CASE("cuDNN is declared as in NVIDIA's headers", "[runtime][cuda][declarations]") {
  using namespace croton::cudnn;
  const auto same = [](auto ours, auto theirs) { return SameCall<decltype(ours), decltype(theirs)>::value; };
  const Library l;
  CHECK(same(l.get_version, &cudnnGetVersion));
  CHECK(same(l.get_error, &cudnnGetErrorString));
  CHECK(same(l.create, &cudnnCreate));
  CHECK(same(l.set_stream, &cudnnSetStream));
  CHECK(same(l.tensor_create, &cudnnCreateTensorDescriptor));
  CHECK(same(l.tensor_destroy, &cudnnDestroyTensorDescriptor));
  CHECK(same(l.tensor_set, &cudnnSetTensorNdDescriptor));
  CHECK(same(l.filter_create, &cudnnCreateFilterDescriptor));
  CHECK(same(l.filter_destroy, &cudnnDestroyFilterDescriptor));
  CHECK(same(l.filter_set, &cudnnSetFilterNdDescriptor));
  CHECK(same(l.convolution_create, &cudnnCreateConvolutionDescriptor));
  CHECK(same(l.convolution_destroy, &cudnnDestroyConvolutionDescriptor));
  CHECK(same(l.convolution_set, &cudnnSetConvolutionNdDescriptor));
  CHECK(same(l.convolution_set_groups, &cudnnSetConvolutionGroupCount));
  CHECK(same(l.convolution_set_math, &cudnnSetConvolutionMathType));
  CHECK(same(l.forward_algorithms, &cudnnGetConvolutionForwardAlgorithm_v7));
  CHECK(same(l.data_algorithms, &cudnnGetConvolutionBackwardDataAlgorithm_v7));
  CHECK(same(l.filter_algorithms, &cudnnGetConvolutionBackwardFilterAlgorithm_v7));
  CHECK(same(l.forward, &cudnnConvolutionForward));
  CHECK(same(l.backward_data, &cudnnConvolutionBackwardData));
  CHECK(same(l.backward_filter, &cudnnConvolutionBackwardFilter));
  CHECK(sizeof(Performance) == sizeof(cudnnConvolutionFwdAlgoPerf_t));
  CHECK(sizeof(Performance) == sizeof(cudnnConvolutionBwdDataAlgoPerf_t));
  CHECK(sizeof(Performance) == sizeof(cudnnConvolutionBwdFilterAlgoPerf_t));
  CHECK(offsetof(Performance, workspace_bytes) == offsetof(cudnnConvolutionFwdAlgoPerf_t, memory));
  CHECK(offsetof(Performance, determinism) == offsetof(cudnnConvolutionFwdAlgoPerf_t, determinism));
  CHECK(offsetof(Performance, math) == offsetof(cudnnConvolutionFwdAlgoPerf_t, mathType));
  const int pairs[][2] = {
      {real_32, CUDNN_DATA_FLOAT},
      {real_64, CUDNN_DATA_DOUBLE},
      {real_16, CUDNN_DATA_HALF},
      {brain_16, CUDNN_DATA_BFLOAT16},
      {channels_first, CUDNN_TENSOR_NCHW},
      {convolution, CUDNN_CONVOLUTION},
      {cross_correlation, CUDNN_CROSS_CORRELATION},
      {default_math, CUDNN_DEFAULT_MATH},
      {fused_multiply_add_math, CUDNN_FMA_MATH},
      {not_deterministic, CUDNN_NON_DETERMINISTIC},
      {is_deterministic, CUDNN_DETERMINISTIC},
  };
  for (const auto& [ours, theirs] : pairs) CHECK(ours == theirs);
}
#endif
