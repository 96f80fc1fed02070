#pragma once

#include <string>
#include <string_view>

#include "croton/codegen/loop_ir.h"

/// Scalar expressions of generated CUDA code, as text. Operands are texts that need no parentheses around
/// them.
namespace croton {

/// The type of an element in memory ("u8" for bool, "u16" for the 16-bit formats) and of a value ("bool",
/// "float").
std::string_view cuda_memory_type(DType dtype);
std::string_view cuda_value_type(DType dtype);

std::string cuda_constant(const Instruction& constant);
/// op on operands of `dtype` (for select: of the last two).
std::string cuda_operation(ScalarOp op, DType dtype, const std::string& a, const std::string& b,
                           const std::string& c);
std::string cuda_fma(DType dtype, const std::string& a, const std::string& b, const std::string& c);
/// to: also float16 and bfloat16, which give a float that is rounded so.
std::string cuda_cast(const std::string& value, DType from, DType to);
/// An element of memory as a value, and a value as an element.
std::string cuda_loaded(DType memory, const std::string& element);
std::string cuda_stored(DType memory, const std::string& value);
/// What a sum, product, … of nothing is: a value x with op(x, y) = y. Empty for operations where a value may
/// be counted twice (min, max, and, or): any of the values serves.
std::string cuda_identity(ScalarOp op, DType dtype);

/// How much code an operation becomes, in instructions, roughly.
int cuda_weight(ScalarOp op, DType dtype);

}  // namespace croton
