#pragma once

#include <memory>
#include <span>

#include "croton/runtime/library_step.h"

namespace croton {

/// dot, dot22, dot22_scalar, gemm and gemv of float32 through oneDNN's dnnl_sgemm, in slices of the result on
/// the threads of our pool. Null where the product is so small or so thin that generated loops are faster.
std::unique_ptr<LibraryStep> make_dnn_product(const Node& node, std::span<const Layout> inputs,
                                              std::span<const Layout> outputs);

}  // namespace croton
