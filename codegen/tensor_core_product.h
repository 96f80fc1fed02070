#pragma once

#include <cstdint>

#include "croton/codegen/thin_product.h"
#include "croton/graph/dtype.h"

namespace croton {

/// Whether generated code on tensor cores (codegen/cuda_contraction.h) computes a product a[m, k] @ b[k, n]
/// on a GPU, rather than a library: where it was faster when measured. float32 is added up from three
/// products of the halves of each factor, with float32's accuracy.
bool is_tensor_core_product(DType dtype, std::int64_t m, std::int64_t n, std::int64_t k, ProductWalk a,
                            ProductWalk b);

}  // namespace croton
