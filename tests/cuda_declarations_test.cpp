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
  CHECK(same(l.backend_create, &cudnnBackendCreateDescriptor));
  CHECK(same(l.backend_destroy, &cudnnBackendDestroyDescriptor));
  CHECK(same(l.backend_finalize, &cudnnBackendFinalize));
  CHECK(same(l.backend_set, &cudnnBackendSetAttribute));
  CHECK(same(l.backend_get, &cudnnBackendGetAttribute));
  CHECK(same(l.backend_execute, &cudnnBackendExecute));
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
      {convolution_descriptor, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR},
      {engine_descriptor, CUDNN_BACKEND_ENGINE_DESCRIPTOR},
      {engine_configuration, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR},
      {engine_heuristic, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR},
      {execution_plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR},
      {forward_operation, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR},
      {weights_operation, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR},
      {inputs_operation, CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR},
      {operation_graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR},
      {variant_pack, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR},
      {tensor_descriptor, CUDNN_BACKEND_TENSOR_DESCRIPTOR},
      {type_handle, CUDNN_TYPE_HANDLE},
      {type_data_type, CUDNN_TYPE_DATA_TYPE},
      {type_int64, CUDNN_TYPE_INT64},
      {type_float, CUDNN_TYPE_FLOAT},
      {type_double, CUDNN_TYPE_DOUBLE},
      {type_pointer, CUDNN_TYPE_VOID_PTR},
      {type_convolution_mode, CUDNN_TYPE_CONVOLUTION_MODE},
      {type_heuristic_mode, CUDNN_TYPE_HEUR_MODE},
      {type_numerical_note, CUDNN_TYPE_NUMERICAL_NOTE},
      {type_descriptor, CUDNN_TYPE_BACKEND_DESCRIPTOR},
      {convolution_sum_type, CUDNN_ATTR_CONVOLUTION_COMP_TYPE},
      {convolution_mode, CUDNN_ATTR_CONVOLUTION_CONV_MODE},
      {convolution_dilation, CUDNN_ATTR_CONVOLUTION_DILATIONS},
      {convolution_stride, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES},
      {convolution_pad_behind, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS},
      {convolution_pad_before, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS},
      {convolution_axes, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS},
      {heuristic_mode, CUDNN_ATTR_ENGINEHEUR_MODE},
      {heuristic_graph, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH},
      {heuristic_results, CUDNN_ATTR_ENGINEHEUR_RESULTS},
      {configuration_engine, CUDNN_ATTR_ENGINECFG_ENGINE},
      {plan_handle, CUDNN_ATTR_EXECUTION_PLAN_HANDLE},
      {plan_configuration, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG},
      {plan_workspace, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE},
      {forward_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA},
      {forward_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {forward_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC},
      {forward_filters, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W},
      {forward_image, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X},
      {forward_output, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
      {inputs_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA},
      {inputs_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {inputs_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC},
      {inputs_filters, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W},
      {inputs_image, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
      {inputs_output, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
      {weights_alpha, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA},
      {weights_beta, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
      {weights_convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC},
      {weights_filters, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW},
      {weights_image, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X},
      {weights_output, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
      {graph_handle, CUDNN_ATTR_OPERATIONGRAPH_HANDLE},
      {graph_operations, CUDNN_ATTR_OPERATIONGRAPH_OPS},
      {tensor_alignment, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT},
      {tensor_data_type, CUDNN_ATTR_TENSOR_DATA_TYPE},
      {tensor_extents, CUDNN_ATTR_TENSOR_DIMENSIONS},
      {tensor_strides, CUDNN_ATTR_TENSOR_STRIDES},
      {tensor_name, CUDNN_ATTR_TENSOR_UNIQUE_ID},
      {pack_names, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS},
      {pack_pointers, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS},
      {pack_workspace, CUDNN_ATTR_VARIANT_PACK_WORKSPACE},
      {engine_numerical_notes, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE},
      {heuristic_a, CUDNN_HEUR_MODE_A},
      {heuristic_b, CUDNN_HEUR_MODE_B},
      {heuristic_fallback, CUDNN_HEUR_MODE_FALLBACK},
      {by_tensor_cores, CUDNN_NUMERICAL_NOTE_TENSOR_CORE},
      {converts_operands_down, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS},
      {adds_up_in_less, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION},
      {by_fourier_transforms, CUDNN_NUMERICAL_NOTE_FFT},
      {may_differ_between_runs, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC},
      {by_winograd, CUDNN_NUMERICAL_NOTE_WINOGRAD},
  };
  for (const auto& [ours, theirs] : pairs) CHECK(ours == theirs);
}
#endif
