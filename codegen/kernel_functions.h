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

/// exp … softplus, pow and atan2 at one point, by the C library (b is for the last two). float32 goes through
/// double.
double scalar_function(ScalarOp op, double a, double b);

/// x to the power n, wrapping; for n < 0 the truncated 1 / x^-n, and 0 for 0.
std::int64_t integer_power(std::int64_t x, std::int64_t n);
std::uint64_t integer_power_unsigned(std::uint64_t x, std::uint64_t n);

}  // namespace croton
