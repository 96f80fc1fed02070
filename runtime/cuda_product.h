#pragma once

#include <memory>
#include <span>

#include "croton/runtime/cuda_library_step.h"

namespace croton {

/// cuBLASLt's step for a product of floating vectors and matrices; nothing where an operand would have to be
/// copied first, and for the smallest products, which generated code does in less time than a launch takes.
std::unique_ptr<CudaLibraryStep> make_cuda_product(CudaDevice& device, const Node& node,
                                                   std::span<const Layout> inputs,
                                                   std::span<const Layout> outputs);

/// Whether a product of matrices on a device, of static shapes, is cuBLASLt's, which can add a bias and take
/// a relu at once; it may still leave them to others (CudaLibraryStep::rest).
bool is_cuda_product_with_epilogues(const Node& product);

}  // namespace croton
