#pragma once

#include <memory>
#include <span>

#include "croton/runtime/library_step.h"

namespace croton {

/// corr_mm of float32: im2col and oneDNN's dnnl_sgemm, on the threads of our pool. The matrix of a block of
/// images (or of some rows of one) at a time bounds the scratch memory.
std::unique_ptr<LibraryStep> make_corr_mm(const Node& node, std::span<const Layout> inputs,
                                          std::span<const Layout> outputs);

}  // namespace croton
