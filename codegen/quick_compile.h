#pragma once

#include <memory>
#include <span>
#include <vector>

#include "croton/codegen/compiled_kernel.h"

namespace croton {

/// As compile(), for functions that are called seldom: code for this machine in a fraction of the time, by
/// few passes and without a scheduler. What is bound by memory runs as fast, what computes much runs slower.
CROTON_API std::vector<std::shared_ptr<const CompiledKernel>> compile_quickly(
    std::span<const Kernel> kernels);

}  // namespace croton
