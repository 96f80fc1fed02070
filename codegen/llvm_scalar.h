#pragma once

#include <llvm/ADT/ArrayRef.h>

#include "croton/codegen/llvm_lanes.h"
#include "croton/ops/scalar_builder.h"

namespace croton {

/// What emission of arithmetic needs besides the builder.
struct ScalarContext {
  Builder& b;
  llvm::Module& module;
  const TargetInfo& target;
};

/// The value of `op` on operands of `dtype` (the last operand's), lane by lane: scalars join vectors.
llvm::Value* emit_scalar(const ScalarContext& c, ScalarOp op, DType dtype,
                         llvm::ArrayRef<llvm::Value*> operands);

/// ScalarBuilder::cast; to float16 and bfloat16 it rounds and gives a float.
llvm::Value* emit_cast(const ScalarContext& c, llvm::Value* value, DType from, DType to);

/// a * b + c rounded once where the target can, else twice.
llvm::Value* emit_fma(const ScalarContext& c, llvm::Value* x, llvm::Value* y, llvm::Value* z);

/// The value that leaves every other unchanged under a reduction.
llvm::Constant* identity_of(ScalarOp op, DType dtype, llvm::Type* type);

/// float <-> the 16 bits of float16 or bfloat16 in memory.
llvm::Value* widen_half(const ScalarContext& c, llvm::Value* bits, DType format);
llvm::Value* narrow_half(const ScalarContext& c, llvm::Value* value, DType format);

/// Functions of float32 and float64 that no instruction computes: exp … softplus, pow, atan2, floor_div,
/// floor_mod.
llvm::Value* emit_math(const ScalarContext& c, ScalarOp op, llvm::ArrayRef<llvm::Value*> operands);

}  // namespace croton
