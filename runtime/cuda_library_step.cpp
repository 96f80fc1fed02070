#include "croton/runtime/cuda_library_step.h"

#include "croton/ops/blas.h"
#include "croton/ops/conv_implementations.h"
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_convolution.h"
#include "croton/runtime/cuda_dnn.h"
#include "croton/runtime/cuda_product.h"

namespace croton {

namespace {

struct Provider {
  const Op& (*op)();
  /// The library is there.
  bool (*is_available)();
  std::unique_ptr<CudaLibraryStep> (*make)(CudaDevice&, const Node&, std::span<const Layout>,
                                           std::span<const Layout>);
};

bool has_cublaslt() { return cublaslt::library().problem.empty(); }
bool has_cudnn() { return cudnn::library().problem.empty(); }

/// The only registration: which library computes which op.
constexpr Provider providers[] = {
    {dot_op, has_cublaslt, make_cuda_product},          {dot22_op, has_cublaslt, make_cuda_product},
    {dot22_scalar_op, has_cublaslt, make_cuda_product}, {gemm_op, has_cublaslt, make_cuda_product},
    {gemv_op, has_cublaslt, make_cuda_product},         {ger_op, has_cublaslt, make_cuda_product},
    {dnn_conv_op, has_cudnn, make_cuda_convolution},    {dnn_b01c_conv_op, has_cudnn, make_cuda_convolution},
};

}  // namespace

std::unique_ptr<CudaLibraryStep> make_cuda_library_step(CudaDevice& device, const Node& node,
                                                        std::span<const Layout> inputs,
                                                        std::span<const Layout> outputs) {
  for (const Provider& provider : providers) {
    if (&provider.op() != &node.op()) continue;
    return provider.is_available() ? provider.make(device, node, inputs, outputs) : nullptr;
  }
  return nullptr;
}

bool has_cuda_library_step(const Op& op) {
  for (const Provider& provider : providers) {
    if (&provider.op() == &op && provider.is_available()) return true;
  }
  return false;
}

bool has_cuda_library_epilogues(const Node& product) {
  return has_cublaslt() && is_cuda_product_with_epilogues(product);
}

std::vector<GpuPart> cuda_library_parts() {
  const auto part = [](const char* name, const auto& library) {
    return GpuPart{name, library.problem.empty(), library.path, library.version, library.problem};
  };
  return {part("cuBLASLt", cublaslt::library()), part("cuDNN", cudnn::library())};
}

}  // namespace croton
