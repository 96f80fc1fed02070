#include <llvm/IR/MDBuilder.h>
#include <llvm/IR/Module.h>

#include <limits>

#include "croton/codegen/llvm_math_functions.h"
#include "croton/codegen/loop_ir.h"

namespace croton {

llvm::Value* call_function(const ScalarContext& c, ScalarOp op, llvm::ArrayRef<llvm::Value*> operands) {
  llvm::Type* const element = operands[0]->getType()->getScalarType();
  const std::string name =
      "croton_" + std::string(name_of(op)) + (element->isFloatTy() ? "_float32" : "_float64");
  const llvm::SmallVector<llvm::Type*, 2> types(operands.size(), element);
  llvm::Function* const function = llvm::cast<llvm::Function>(
      c.module.getOrInsertFunction(name, llvm::FunctionType::get(element, types, false)).getCallee());
  function->setDoesNotAccessMemory();
  function->setDoesNotThrow();
  return call_by_lane(c.b, function, operands);
}

Real unless(Flag is_easy, ScalarOp op, std::initializer_list<Real> operands,
            llvm::function_ref<Real()> fast) {
  const ScalarContext& c = *is_easy.c;
  Builder& b = c.b;
  llvm::LLVMContext& context = b.getContext();
  llvm::Function* const function = b.GetInsertBlock()->getParent();
  llvm::BasicBlock* const hard_block = llvm::BasicBlock::Create(context, "hard", function);
  llvm::BasicBlock* const easy_block = llvm::BasicBlock::Create(context, "easy", function);
  llvm::BasicBlock* const after = llvm::BasicBlock::Create(context, "evaluated", function);
  b.CreateCondBr(is_vector(is_easy.v) ? b.CreateAndReduce(is_easy.v) : is_easy.v, easy_block, hard_block,
                 llvm::MDBuilder(context).createBranchWeights(2000, 1));
  b.SetInsertPoint(hard_block);
  llvm::SmallVector<llvm::Value*, 2> values;
  for (const Real& operand : operands) values.push_back(operand.v);
  llvm::Value* const hard_value = call_function(c, op, values);
  b.CreateBr(after);
  b.SetInsertPoint(easy_block);
  llvm::Value* const easy_value = fast().v;
  llvm::BasicBlock* const easy_end = b.GetInsertBlock();
  b.CreateBr(after);
  b.SetInsertPoint(after);
  llvm::PHINode* const result = b.CreatePHI(easy_value->getType(), 2);
  result->addIncoming(hard_value, hard_block);
  result->addIncoming(easy_value, easy_end);
  return {&c, result};
}

// |x|^y = 2^(y log2 |x|); the sign and the exceptional cases as C has them.
Real pow(Real x_single, Real y_single) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real x = widen(x_single), y = widen(y_single), a = abs(x);
  const Real logarithm = log2_of_positive(a);
  const Real exact_log = select(a == 0.0, x(-infinity), select(a == infinity, x(infinity), logarithm));
  const Real magnitude = exp2(y * exact_log, MathPrecision::narrow);
  const Real rounded_y{y.c, intrinsic(y.c->b, llvm::Intrinsic::trunc, {y.v})};
  const Real half = 0.5 * y;
  const Real rounded_half{y.c, intrinsic(y.c->b, llvm::Intrinsic::trunc, {half.v})};
  const Flag is_whole = rounded_y == y;
  const Flag is_odd_power = is_whole && !(rounded_half == half);
  const Flag is_negative{x.c, x.c->b.CreateICmpSLT(bits(x).v, bits(x).number(0))};
  Real result = select(is_negative && is_odd_power, -magnitude, magnitude);
  const Flag has_no_value = x < 0.0 && !is_whole && a < infinity;
  result = select(has_no_value, x(std::numeric_limits<double>::quiet_NaN()), result);
  result = select(is_nan(x) || is_nan(y), x + y, result);
  const Flag is_one = y == 0.0 || x == 1.0 || (x == -1.0 && abs(y) == infinity);
  return narrow(select(is_one, x(1.0), result));
}

namespace {

Real whole(Real x, llvm::Intrinsic::ID id) { return {x.c, intrinsic(x.c->b, id, {x.v})}; }

// In float64 the quotient of two float32 has its right floor, and the product with it is exact as long as it
// has 29 bits.
Real floor_div(Real x_single, Real y_single) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real x = widen(x_single), y = widen(y_single);
  const Real floored = whole(x / y, llvm::Intrinsic::floor);
  const Flag is_just_below = abs(y) == infinity && ((x < 0.0 && y > 0.0) || (x > 0.0 && y < 0.0));
  const Real result = select(is_just_below, x(-1), floored);
  return narrow(
      select(abs(x) == infinity && !(y == 0.0), x(std::numeric_limits<double>::quiet_NaN()), result));
}

Real floor_mod(Real x_single, Real y_single) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real quotient = abs(widen(x_single) / widen(y_single));
  const Flag is_easy = !((quotient > 0x1p29 && quotient < infinity) || abs(y_single) == infinity);
  return unless(is_easy, ScalarOp::floor_mod, {x_single, y_single}, [&] {
    const Real x = widen(x_single), y = widen(y_single);
    const Real rest = x - y * whole(x / y, llvm::Intrinsic::floor);
    return narrow(copysign(rest, y));
  });
}

}  // namespace

llvm::Value* emit_math(const ScalarContext& c, ScalarOp op, llvm::ArrayRef<llvm::Value*> operands) {
  const Real x{&c, operands[0]};
  const bool is_double = x.is_double();
  switch (op) {
    case ScalarOp::exp:
      return exp(x, MathPrecision::full).v;
    case ScalarOp::exp2:
      return exp2(x, MathPrecision::full).v;
    case ScalarOp::expm1:
      return expm1(x, MathPrecision::full).v;
    case ScalarOp::log:
      return log(x, MathPrecision::full).v;
    case ScalarOp::log1p:
      return log1p(x, MathPrecision::full).v;
    case ScalarOp::sin:
    case ScalarOp::cos:
    case ScalarOp::tan:
      return sin_cos_tan(op, x).v;
    case ScalarOp::tanh:
      return tanh(x).v;
    case ScalarOp::sigmoid:
      return sigmoid(x).v;
    case ScalarOp::softplus:
      return softplus(x).v;
    case ScalarOp::log2:
      return is_double ? call_function(c, op, {x.v}) : narrow(log2(widen(x))).v;
    case ScalarOp::log10:
      return is_double ? call_function(c, op, {x.v}) : narrow(log2(widen(x)) * 0x1.34413509f79ffp-2).v;
    default:
      break;
  }
  if (is_double) {
    return call_function(c, op, operands);
  }
  switch (op) {
    case ScalarOp::asin:
    case ScalarOp::acos:
      return asin_acos(op, x).v;
    case ScalarOp::atan:
      return atan(x).v;
    case ScalarOp::sinh:
    case ScalarOp::cosh:
      return sinh_cosh(op, x).v;
    case ScalarOp::asinh:
      return asinh(x).v;
    case ScalarOp::acosh:
      return acosh(x).v;
    case ScalarOp::atanh:
      return atanh(x).v;
    case ScalarOp::erf:
      return erf(x).v;
    case ScalarOp::erfc:
      return erfc(x).v;
    case ScalarOp::pow:
      return pow(x, {&c, operands[1]}).v;
    case ScalarOp::atan2:
      return atan2(x, {&c, operands[1]}).v;
    case ScalarOp::floor_div:
      return floor_div(x, {&c, operands[1]}).v;
    case ScalarOp::floor_mod:
      return floor_mod(x, {&c, operands[1]}).v;
    default:
      return call_function(c, op, {x.v});
  }
}

}  // namespace croton
