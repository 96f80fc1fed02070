#pragma once

#include "croton/codegen/loop_ir.h"
#include "croton/graph/export.h"

namespace croton {

/// Runs a kernel statement by statement, slowly and on the calling thread: what compiled code is compared
/// with, and a way to run without compiling. buffers: as for CompiledKernel::run. Differs from compiled code
/// in the order of floating reductions and in the last places of exp and its kin. An access outside a buffer
/// whose number of elements is known is an InternalError that names the buffer.
CROTON_API void interpret(const Kernel& kernel, void* const* buffers);

}  // namespace croton
