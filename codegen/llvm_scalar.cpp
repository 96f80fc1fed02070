#include "croton/codegen/llvm_scalar.h"

#include <llvm/IR/Module.h>

#include <array>
#include <limits>
#include <numeric>

#include "croton/graph/error.h"

namespace croton {

using llvm::Intrinsic::ID;

llvm::Type* register_type(llvm::LLVMContext& context, DType dtype) {
  switch (dtype) {
    case DType::bool_:
      return llvm::Type::getInt1Ty(context);
    case DType::float16:
    case DType::bfloat16:
    case DType::float32:
      return llvm::Type::getFloatTy(context);
    case DType::float64:
      return llvm::Type::getDoubleTy(context);
    default:
      return llvm::Type::getIntNTy(context, static_cast<unsigned>(8 * size_of(dtype)));
  }
}

llvm::Type* memory_type(llvm::LLVMContext& context, DType dtype) {
  if (dtype == DType::float32 || dtype == DType::float64) return register_type(context, dtype);
  return llvm::Type::getIntNTy(context, static_cast<unsigned>(8 * size_of(dtype)));
}

llvm::Value* take_lanes(Builder& b, llvm::Value* vector, unsigned first, unsigned count) {
  if (count == 1) return b.CreateExtractElement(vector, first);
  llvm::SmallVector<int, 64> which(count);
  std::iota(which.begin(), which.end(), static_cast<int>(first));
  return b.CreateShuffleVector(vector, which);
}

llvm::Value* call_by_lane(Builder& b, llvm::FunctionCallee function, llvm::ArrayRef<llvm::Value*> operands) {
  llvm::Value* const first = operands[0];
  if (!is_vector(first)) return b.CreateCall(function, operands);
  llvm::Type* const element = function.getFunctionType()->getReturnType();
  const unsigned lanes = lanes_of(first);
  llvm::Value* result = llvm::PoisonValue::get(with_lanes(element, lanes));
  for (unsigned lane = 0; lane < lanes; ++lane) {
    llvm::SmallVector<llvm::Value*, 3> arguments;
    for (llvm::Value* operand : operands) arguments.push_back(b.CreateExtractElement(operand, lane));
    result = b.CreateInsertElement(result, b.CreateCall(function, arguments), lane);
  }
  return result;
}

namespace {

llvm::Value* emit_min_max(const ScalarContext& c, ScalarOp op, DType dtype, llvm::Value* x, llvm::Value* y) {
  Builder& b = c.b;
  const bool is_max = op == ScalarOp::max;
  if (is_bool(dtype)) return is_max ? b.CreateOr(x, y) : b.CreateAnd(x, y);
  if (is_discrete(dtype)) {
    const bool is_signed = is_signed_integer(dtype);
    const ID id = is_max ? (is_signed ? llvm::Intrinsic::smax : llvm::Intrinsic::umax)
                         : (is_signed ? llvm::Intrinsic::smin : llvm::Intrinsic::umin);
    return intrinsic(b, id, {x, y});
  }
  // The inner select is one vmaxps: it gives x when either is NaN, so only a NaN in y is left to see to.
  llvm::Value* const wins = is_max ? b.CreateFCmpOGT(y, x) : b.CreateFCmpOLT(y, x);
  return b.CreateSelect(b.CreateFCmpUNO(y, y), y, b.CreateSelect(wins, y, x));
}

// Division that rounds to minus infinity. 0 divides to 0; the machine traps on it and on lowest / -1.
llvm::Value* emit_integer_division(const ScalarContext& c, bool remainder, DType dtype, llvm::Value* x,
                                   llvm::Value* y) {
  Builder& b = c.b;
  llvm::Type* const type = x->getType();
  llvm::Constant* const zero = llvm::Constant::getNullValue(type);
  llvm::Constant* const one = llvm::ConstantInt::get(type, 1);
  llvm::Value* const is_zero = b.CreateICmpEQ(y, zero);
  if (!is_signed_integer(dtype)) {
    llvm::Value* const divisor = b.CreateSelect(is_zero, one, y);
    return b.CreateSelect(is_zero, zero, remainder ? b.CreateURem(x, divisor) : b.CreateUDiv(x, divisor));
  }
  llvm::Value* const is_minus_one = b.CreateICmpEQ(y, llvm::Constant::getAllOnesValue(type));
  llvm::Value* const divisor = b.CreateSelect(b.CreateOr(is_zero, is_minus_one), one, y);
  llvm::Value* const quotient = b.CreateSDiv(x, divisor);
  llvm::Value* const rest = b.CreateSub(x, b.CreateMul(quotient, divisor));
  llvm::Value* const is_below =
      b.CreateAnd(b.CreateICmpNE(rest, zero), b.CreateICmpSLT(b.CreateXor(rest, divisor), zero));
  if (remainder) {
    llvm::Value* const result = b.CreateSelect(is_below, b.CreateAdd(rest, divisor), rest);
    return b.CreateSelect(is_zero, zero, result);
  }
  llvm::Value* const result = b.CreateSelect(is_below, b.CreateSub(quotient, one), quotient);
  return b.CreateSelect(is_zero, zero, b.CreateSelect(is_minus_one, b.CreateNeg(x), result));
}

llvm::Value* emit_shift(const ScalarContext& c, ScalarOp op, DType dtype, llvm::Value* x, llvm::Value* y) {
  Builder& b = c.b;
  llvm::Type* const type = x->getType();
  const unsigned bits = type->getScalarSizeInBits();
  llvm::Constant* const most = llvm::ConstantInt::get(type, bits - 1);
  llvm::Value* const is_wide = b.CreateICmpUGT(y, most);
  llvm::Value* const amount = b.CreateSelect(is_wide, most, y);
  if (op == ScalarOp::shift_right && is_signed_integer(dtype)) return b.CreateAShr(x, amount);
  llvm::Value* const shifted = op == ScalarOp::shift_left ? b.CreateShl(x, amount) : b.CreateLShr(x, amount);
  return b.CreateSelect(is_wide, llvm::Constant::getNullValue(type), shifted);
}

llvm::Value* emit_integer_pow(const ScalarContext& c, DType dtype, llvm::Value* x, llvm::Value* y) {
  Builder& b = c.b;
  llvm::Type* const wide = b.getInt64Ty();
  const bool is_signed = is_signed_integer(dtype);
  const llvm::FunctionCallee function =
      c.module.getOrInsertFunction(is_signed ? "croton_pow_int64" : "croton_pow_uint64",
                                   llvm::FunctionType::get(wide, {wide, wide}, false));
  const auto widen = [&](llvm::Value* v) {
    return is_signed ? b.CreateSExt(v, like(wide, v)) : b.CreateZExt(v, like(wide, v));
  };
  return b.CreateTrunc(call_by_lane(b, function, {widen(x), widen(y)}), x->getType());
}

llvm::Value* emit_unary(const ScalarContext& c, ScalarOp op, DType dtype, llvm::Value* x) {
  Builder& b = c.b;
  llvm::Type* const type = x->getType();
  const bool is_float = is_floating(dtype);
  switch (op) {
    case ScalarOp::neg:
      return is_float ? b.CreateFNeg(x) : b.CreateNeg(x);
    case ScalarOp::abs:
      if (is_float) return intrinsic(b, llvm::Intrinsic::fabs, {x});
      if (!is_signed_integer(dtype)) return x;
      return b.CreateIntrinsic(llvm::Intrinsic::abs, {type}, {x, b.getFalse()});
    case ScalarOp::sqrt:
      return intrinsic(b, llvm::Intrinsic::sqrt, {x});
    case ScalarOp::floor:
      return is_float ? intrinsic(b, llvm::Intrinsic::floor, {x}) : x;
    case ScalarOp::ceil:
      return is_float ? intrinsic(b, llvm::Intrinsic::ceil, {x}) : x;
    case ScalarOp::trunc:
      return is_float ? intrinsic(b, llvm::Intrinsic::trunc, {x}) : x;
    case ScalarOp::rint:
      return is_float ? intrinsic(b, llvm::Intrinsic::rint, {x}) : x;
    case ScalarOp::bit_not:
      return b.CreateNot(x);
    case ScalarOp::sign: {
      llvm::Constant* const zero = llvm::Constant::getNullValue(type);
      if (is_float) {
        // x + 0 is +0 for both zeros and keeps NaN.
        llvm::Value* const below =
            b.CreateSelect(b.CreateFCmpOLT(x, zero), llvm::ConstantFP::get(type, -1), b.CreateFAdd(x, zero));
        return b.CreateSelect(b.CreateFCmpOGT(x, zero), llvm::ConstantFP::get(type, 1), below);
      }
      if (is_bool(dtype)) return x;
      llvm::Constant* const one = llvm::ConstantInt::get(type, 1);
      if (!is_signed_integer(dtype)) return b.CreateSelect(b.CreateICmpEQ(x, zero), zero, one);
      llvm::Value* const below =
          b.CreateSelect(b.CreateICmpSLT(x, zero), llvm::Constant::getAllOnesValue(type), zero);
      return b.CreateSelect(b.CreateICmpSGT(x, zero), one, below);
    }
    case ScalarOp::isnan:
      return is_float ? b.CreateFCmpUNO(x, x) : llvm::Constant::getNullValue(like(b.getInt1Ty(), x));
    case ScalarOp::isinf:
      if (!is_float) return llvm::Constant::getNullValue(like(b.getInt1Ty(), x));
      return b.CreateFCmpOEQ(intrinsic(b, llvm::Intrinsic::fabs, {x}), llvm::ConstantFP::getInfinity(type));
    case ScalarOp::logical_not:
      if (is_float) return b.CreateFCmpOEQ(x, llvm::ConstantFP::getZero(type));
      return b.CreateICmpEQ(x, llvm::Constant::getNullValue(type));
    default:
      return emit_math(c, op, {x});
  }
}

llvm::Value* emit_comparison(const ScalarContext& c, ScalarOp op, DType dtype, llvm::Value* x,
                             llvm::Value* y) {
  using P = llvm::CmpInst::Predicate;
  const int which = static_cast<int>(op) - static_cast<int>(ScalarOp::lt);
  if (is_floating(dtype)) {
    static constexpr P ordered[] = {P::FCMP_OLT, P::FCMP_OLE, P::FCMP_OGT,
                                    P::FCMP_OGE, P::FCMP_OEQ, P::FCMP_UNE};
    return c.b.CreateFCmp(ordered[which], x, y);
  }
  static constexpr P with_sign[] = {P::ICMP_SLT, P::ICMP_SLE, P::ICMP_SGT,
                                    P::ICMP_SGE, P::ICMP_EQ,  P::ICMP_NE};
  static constexpr P without[] = {P::ICMP_ULT, P::ICMP_ULE, P::ICMP_UGT, P::ICMP_UGE, P::ICMP_EQ, P::ICMP_NE};
  return c.b.CreateICmp(is_signed_integer(dtype) ? with_sign[which] : without[which], x, y);
}

llvm::Value* emit_binary(const ScalarContext& c, ScalarOp op, DType dtype, llvm::Value* x, llvm::Value* y) {
  Builder& b = c.b;
  const bool is_float = is_floating(dtype);
  switch (op) {
    case ScalarOp::add:
      if (is_bool(dtype)) return b.CreateOr(x, y);
      return is_float ? b.CreateFAdd(x, y) : b.CreateAdd(x, y);
    case ScalarOp::sub:
      return is_float ? b.CreateFSub(x, y) : b.CreateSub(x, y);
    case ScalarOp::mul:
      return is_float ? b.CreateFMul(x, y) : is_bool(dtype) ? b.CreateAnd(x, y) : b.CreateMul(x, y);
    case ScalarOp::div:
      return b.CreateFDiv(x, y);
    case ScalarOp::floor_div:
    case ScalarOp::floor_mod: {
      const bool remainder = op == ScalarOp::floor_mod;
      if (is_float) return emit_math(c, op, {x, y});
      if (is_bool(dtype)) return remainder ? llvm::Constant::getNullValue(x->getType()) : b.CreateAnd(x, y);
      return emit_integer_division(c, remainder, dtype, x, y);
    }
    case ScalarOp::min:
    case ScalarOp::max:
      return emit_min_max(c, op, dtype, x, y);
    case ScalarOp::pow:
      if (is_bool(dtype)) return b.CreateOr(x, b.CreateNot(y));
      return is_float ? emit_math(c, op, {x, y}) : emit_integer_pow(c, dtype, x, y);
    case ScalarOp::bit_and:
      return b.CreateAnd(x, y);
    case ScalarOp::bit_or:
      return b.CreateOr(x, y);
    case ScalarOp::bit_xor:
      return b.CreateXor(x, y);
    case ScalarOp::shift_left:
    case ScalarOp::shift_right:
      return emit_shift(c, op, dtype, x, y);
    case ScalarOp::atan2:
      return emit_math(c, op, {x, y});
    default:
      return emit_comparison(c, op, dtype, x, y);
  }
}

}  // namespace

llvm::Value* emit_fma(const ScalarContext& c, llvm::Value* x, llvm::Value* y, llvm::Value* z) {
  if (c.target.has_fma) return intrinsic(c.b, llvm::Intrinsic::fma, {x, y, z});
  return c.b.CreateFAdd(c.b.CreateFMul(x, y), z);
}

llvm::Value* emit_scalar(const ScalarContext& c, ScalarOp op, DType dtype,
                         llvm::ArrayRef<llvm::Value*> operands) {
  unsigned lanes = 1;
  for (const llvm::Value* operand : operands) lanes = std::max(lanes, lanes_of(operand));
  std::array<llvm::Value*, 3> v{};
  for (std::size_t i = 0; i < operands.size(); ++i) v[i] = splat(c.b, operands[i], lanes);
  if (op == ScalarOp::select) return c.b.CreateSelect(v[0], v[1], v[2]);
  if (op == ScalarOp::fma) {
    if (is_floating(dtype)) return emit_fma(c, v[0], v[1], v[2]);
    return emit_binary(c, ScalarOp::add, dtype, emit_binary(c, ScalarOp::mul, dtype, v[0], v[1]), v[2]);
  }
  return operands.size() == 1 ? emit_unary(c, op, dtype, v[0]) : emit_binary(c, op, dtype, v[0], v[1]);
}

llvm::Value* widen_half(const ScalarContext& c, llvm::Value* bits, DType format) {
  Builder& b = c.b;
  llvm::Type* const single = like(b.getFloatTy(), bits);
  if (format == DType::bfloat16) {
    return b.CreateBitCast(b.CreateShl(b.CreateZExt(bits, like(b.getInt32Ty(), bits)), 16), single);
  }
  if (c.target.has_f16c) return b.CreateFPExt(b.CreateBitCast(bits, like(b.getHalfTy(), bits)), single);
  // Moved into a float's fields the number is too small by 2^112, also a subnormal; infinities and NaN get
  // the highest exponent.
  llvm::Type* const word = like(b.getInt32Ty(), bits);
  llvm::Value* const wide = b.CreateZExt(bits, word);
  llvm::Value* const magnitude = b.CreateShl(b.CreateAnd(wide, 0x7fff), 13);
  llvm::Value* const number = b.CreateBitCast(
      b.CreateFMul(b.CreateBitCast(magnitude, single), llvm::ConstantFP::get(single, 0x1p112)), word);
  llvm::Value* const special = b.CreateOr(magnitude, llvm::ConstantInt::get(word, 0x7f800000));
  llvm::Value* const is_special = b.CreateICmpUGE(magnitude, llvm::ConstantInt::get(word, 0x0f800000));
  llvm::Value* const sign = b.CreateShl(b.CreateAnd(wide, 0x8000), 16);
  return b.CreateBitCast(b.CreateOr(b.CreateSelect(is_special, special, number), sign), single);
}

llvm::Value* narrow_half(const ScalarContext& c, llvm::Value* value, DType format) {
  Builder& b = c.b;
  llvm::Type* const word = like(b.getInt32Ty(), value);
  llvm::Type* const half = like(b.getInt16Ty(), value);
  const auto number = [&](std::uint32_t n) { return llvm::ConstantInt::get(word, n); };
  if (format == DType::float16 && c.target.has_f16c) {
    return b.CreateBitCast(b.CreateFPTrunc(value, like(b.getHalfTy(), value)), half);
  }
  llvm::Value* const bits = b.CreateBitCast(value, word);
  llvm::Value* const magnitude = b.CreateAnd(bits, 0x7fffffff);
  llvm::Value* const is_nan = b.CreateICmpUGT(magnitude, number(0x7f800000));
  if (format == DType::bfloat16) {
    llvm::Value* const odd = b.CreateAnd(b.CreateLShr(bits, 16), 1);
    llvm::Value* const rounded = b.CreateLShr(b.CreateAdd(bits, b.CreateAdd(odd, number(0x7fff))), 16);
    llvm::Value* const nan = b.CreateOr(b.CreateLShr(bits, 16), number(0x40));
    return b.CreateTrunc(b.CreateSelect(is_nan, nan, rounded), half);
  }
  llvm::Value* const nan = b.CreateOr(b.CreateAnd(b.CreateLShr(magnitude, 13), 0x1ff), number(0x7e00));
  llvm::Value* const odd = b.CreateAnd(b.CreateLShr(magnitude, 13), 1);
  llvm::Value* const rounded = b.CreateAdd(b.CreateAdd(magnitude, number(0xfff)), odd);
  llvm::Value* const normal = b.CreateLShr(b.CreateSub(rounded, number(0x38000000)), 13);
  // ulp(0.5) is 2^-24, the step of subnormals: adding 0.5 rounds to it.
  llvm::Type* const single = value->getType();
  llvm::Value* const shifted =
      b.CreateFAdd(b.CreateBitCast(magnitude, single), llvm::ConstantFP::get(single, 0.5));
  llvm::Value* const subnormal = b.CreateSub(b.CreateBitCast(shifted, word), number(0x3f000000));
  llvm::Value* result = b.CreateSelect(b.CreateICmpULT(magnitude, number(0x38800000)), subnormal, normal);
  result = b.CreateSelect(b.CreateICmpUGE(magnitude, number(0x477ff000)), number(0x7c00), result);
  result = b.CreateSelect(is_nan, nan, result);
  return b.CreateTrunc(b.CreateOr(result, b.CreateAnd(b.CreateLShr(bits, 16), 0x8000)), half);
}

namespace {

/// A float64 as the float32 that a 16-bit format rounds as it would round the float64 itself: of the two
/// neighbours of an inexact value, the one whose last bit is odd (Boldo and Melquiond, "Emulation of a FMA
/// and correctly rounded sums", 2008).
llvm::Value* round_to_odd(const ScalarContext& c, llvm::Value* value) {
  Builder& b = c.b;
  llvm::Type* const single = like(b.getFloatTy(), value);
  llvm::Type* const word = like(b.getInt32Ty(), value);
  llvm::Value* const nearest = b.CreateFPTrunc(value, single);
  llvm::Value* const back = b.CreateFPExt(nearest, value->getType());
  llvm::Value* const bits = b.CreateBitCast(nearest, word);
  llvm::Value* const is_odd = b.CreateTrunc(bits, like(b.getInt1Ty(), bits));
  llvm::Value* const magnitude = intrinsic(b, llvm::Intrinsic::fabs, {value});
  llvm::Value* const back_magnitude = intrinsic(b, llvm::Intrinsic::fabs, {back});
  llvm::Value* const is_finite =
      b.CreateFCmpOLT(back_magnitude, llvm::ConstantFP::getInfinity(value->getType()));
  llvm::Value* const is_inexact = b.CreateFCmpONE(value, back);
  llvm::Value* const moves = b.CreateAnd(b.CreateAnd(is_inexact, is_finite), b.CreateNot(is_odd));
  llvm::Value* const step =
      b.CreateSelect(b.CreateFCmpOGT(back_magnitude, magnitude), llvm::Constant::getAllOnesValue(word),
                     llvm::ConstantInt::get(word, 1));
  return b.CreateBitCast(b.CreateSelect(moves, b.CreateAdd(bits, step), bits), single);
}

}  // namespace

llvm::Value* emit_cast(const ScalarContext& c, llvm::Value* value, DType from, DType to) {
  Builder& b = c.b;
  llvm::Type* const type = like(register_type(b.getContext(), to), value);
  if (to == DType::float16 || to == DType::bfloat16) {
    const bool is_exact_in_float32 = from == DType::float32 || size_of(from) < 4;
    llvm::Value* const single = is_exact_in_float32
                                    ? emit_cast(c, value, from, DType::float32)
                                    : round_to_odd(c, emit_cast(c, value, from, DType::float64));
    return widen_half(c, narrow_half(c, single, to), to);
  }
  if (from == to) return value;
  if (is_floating(from)) {
    if (to == DType::float64) return b.CreateFPExt(value, type);
    if (to == DType::float32) return b.CreateFPTrunc(value, type);
    if (is_bool(to)) return b.CreateFCmpUNE(value, llvm::ConstantFP::getZero(value->getType()));
    const ID id = is_signed_integer(to) ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
    return b.CreateIntrinsic(id, {type, value->getType()}, {value});
  }
  if (is_bool(to)) return b.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
  if (is_floating(to)) {
    return is_signed_integer(from) ? b.CreateSIToFP(value, type) : b.CreateUIToFP(value, type);
  }
  return b.CreateIntCast(value, type, is_signed_integer(from));
}

llvm::Constant* identity_of(ScalarOp op, DType dtype, llvm::Type* type) {
  const bool is_float = is_floating(dtype);
  const unsigned bits = type->getScalarSizeInBits();
  switch (op) {
    case ScalarOp::add:
      return is_float ? llvm::ConstantFP::getNegativeZero(type) : llvm::Constant::getNullValue(type);
    case ScalarOp::mul:
      return is_float ? llvm::ConstantFP::get(type, 1.0) : llvm::ConstantInt::get(type, 1);
    case ScalarOp::min:
      if (is_float) return llvm::ConstantFP::getInfinity(type);
      if (is_signed_integer(dtype)) return llvm::ConstantInt::get(type, llvm::APInt::getSignedMaxValue(bits));
      return llvm::Constant::getAllOnesValue(type);
    case ScalarOp::max:
      if (is_float) return llvm::ConstantFP::getInfinity(type, true);
      if (is_signed_integer(dtype)) return llvm::ConstantInt::get(type, llvm::APInt::getSignedMinValue(bits));
      return llvm::Constant::getNullValue(type);
    case ScalarOp::bit_and:
      return llvm::Constant::getAllOnesValue(type);
    case ScalarOp::bit_or:
    case ScalarOp::bit_xor:
      return llvm::Constant::getNullValue(type);
    default:
      throw InternalError("a reduction by an operation without identity");
  }
}

}  // namespace croton
