#pragma once

#include <span>
#include <string>

#include "croton/codegen/loop_ir.h"
#include "croton/graph/export.h"

namespace croton {

/// One kernel whose phases are those of the kernels in order. Its buffers are theirs in order, also where two
/// of them are the same memory: a phase touches only those of the kernel that it comes from.
CROTON_API Kernel merge_kernels(std::span<const Kernel> kernels, std::string name);

}  // namespace croton
