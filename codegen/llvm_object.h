#pragma once

#include <string>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/llvm_target.h"

namespace croton {

/// The name of a phase's function in the object of a kernel.
std::string phase_symbol(const std::string& kernel_symbol, std::size_t phase);

/// Machine code of a kernel: a relocatable object. Its functions are phase_symbol(symbol, 0), … Safe to call
/// from several threads. Fills `source` too when it is given. `is_quick`: with few passes.
std::string compile_to_object(const Kernel& kernel, const std::string& symbol, const TargetInfo& target,
                              bool is_quick = false, KernelSource* source = nullptr);

}  // namespace croton
