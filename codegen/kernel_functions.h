#pragma once

#include <cstdint>
#include <span>

#include "croton/ops/scalar_builder.h"

namespace croton {

/// A C function that generated code may call.
struct KernelFunction {
  const char* name;
  void* address;
};

/// All of them: croton_NAME_float32 and croton_NAME_float64 for the scalar functions that no instruction
/// computes, integer powers, fmod, and what LLVM itself calls.
std::span<const KernelFunction> kernel_functions();

/// exp … softplus, pow, atan2, floor_div and floor_mod at one point, as the reference evaluator computes them
/// (b is for the last four). float32 goes through double, but for the last two.
double scalar_function(ScalarOp op, double a, double b);

}  // namespace croton
