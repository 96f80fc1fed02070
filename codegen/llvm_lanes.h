#pragma once

#include <llvm/IR/Constants.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Intrinsics.h>

#include "croton/codegen/llvm_target.h"
#include "croton/graph/dtype.h"

/// Values with any number of lanes: a scalar when all lanes agree, else a vector. Shared by everything that
/// emits.
namespace croton {

using Builder = llvm::IRBuilder<>;

inline unsigned lanes_of(const llvm::Type* type) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return vector == nullptr ? 1 : vector->getNumElements();
}
inline unsigned lanes_of(const llvm::Value* value) { return lanes_of(value->getType()); }
inline bool is_vector(const llvm::Value* value) { return value->getType()->isVectorTy(); }

inline llvm::Type* with_lanes(llvm::Type* element, unsigned lanes) {
  return lanes == 1 ? element : llvm::FixedVectorType::get(element, lanes);
}
/// The type of `element` with as many lanes as `like`.
inline llvm::Type* like(llvm::Type* element, const llvm::Value* value) {
  return is_vector(value) ? llvm::FixedVectorType::get(element, lanes_of(value)) : element;
}

/// The type of values of a dtype in registers (bool: i1; float16 and bfloat16 do not occur).
llvm::Type* register_type(llvm::LLVMContext& context, DType dtype);
/// The type of its elements in memory (bool: i8; float16 and bfloat16: i16).
llvm::Type* memory_type(llvm::LLVMContext& context, DType dtype);

/// The same value in `lanes` lanes.
inline llvm::Value* splat(Builder& b, llvm::Value* value, unsigned lanes) {
  return lanes == 1 || is_vector(value) ? value : b.CreateVectorSplat(lanes, value);
}

/// Calls an intrinsic on operands of one type.
inline llvm::Value* intrinsic(Builder& b, llvm::Intrinsic::ID id, llvm::ArrayRef<llvm::Value*> operands) {
  return b.CreateIntrinsic(id, {operands[0]->getType()}, operands);
}

/// Lanes first, first + 1, … of a vector: a scalar for one of them.
llvm::Value* take_lanes(Builder& b, llvm::Value* vector, unsigned first, unsigned count);

/// One call of `function` a lane.
llvm::Value* call_by_lane(Builder& b, llvm::FunctionCallee function, llvm::ArrayRef<llvm::Value*> operands);

}  // namespace croton
