#pragma once

#include "croton/codegen/llvm_real.h"

/// What llvm_math.cpp chooses from, beside llvm_real.h. Where nothing else is said the argument is float32
/// and the work is done in float64.
namespace croton {

/// The C library's function, a call a lane.
llvm::Value* call_function(const ScalarContext& c, ScalarOp op, llvm::ArrayRef<llvm::Value*> operands);
/// The fast form where it is right for all lanes, else the C library's function for all: a branch.
Real unless(Flag is_easy, ScalarOp op, std::initializer_list<Real> operands, llvm::function_ref<Real()> fast);

/// float32 and float64.
Real sin_cos_tan(ScalarOp op, Real x);
Real tanh(Real x);
Real sigmoid(Real x);
Real softplus(Real x);

Real asin_acos(ScalarOp op, Real x);
Real atan(Real x);
Real atan2(Real y, Real x);
Real sinh_cosh(ScalarOp op, Real x);
Real asinh(Real x);
Real acosh(Real x);
Real atanh(Real x);
Real erf(Real x);
Real erfc(Real x);
Real pow(Real x, Real y);

}  // namespace croton
