#include <llvm/IR/Module.h>

#include <limits>

#include "croton/codegen/llvm_math_functions.h"
#include "croton/codegen/loop_ir.h"

namespace croton {

llvm::Value* call_function(const ScalarContext& c, ScalarOp op,
                           std::initializer_list<llvm::Value*> operands) {
  llvm::Type* const element = (*operands.begin())->getType()->getScalarType();
  const std::string name =
      "croton_" + std::string(name_of(op)) + (element->isFloatTy() ? "_float32" : "_float64");
  const llvm::SmallVector<llvm::Type*, 2> types(operands.size(), element);
  llvm::Function* const function = llvm::cast<llvm::Function>(
      c.module.getOrInsertFunction(name, llvm::FunctionType::get(element, types, false)).getCallee());
  function->setDoesNotAccessMemory();
  function->setDoesNotThrow();
  return call_by_lane(c.b, function, operands);
}

// |x|^y = 2^(y log2 |x|); the sign and the exceptional cases as C has them.
Real pow(Real x_single, Real y_single) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real x = widen(x_single), y = widen(y_single), a = abs(x);
  const Real logarithm = log2_of_positive(a);
  const Real exact_log = select(a == 0.0, x(-infinity), select(a == infinity, x(infinity), logarithm));
  const Real magnitude = exp2(y * exact_log, Precision::narrow);
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

llvm::Value* emit_math(const ScalarContext& c, ScalarOp op, llvm::ArrayRef<llvm::Value*> operands) {
  const Real x{&c, operands[0]};
  const bool is_double = x.is_double();
  switch (op) {
    case ScalarOp::exp:
      return exp(x, Precision::full).v;
    case ScalarOp::exp2:
      return exp2(x, Precision::full).v;
    case ScalarOp::expm1:
      return expm1(x, Precision::full).v;
    case ScalarOp::log:
      return log(x, Precision::full).v;
    case ScalarOp::log1p:
      return log1p(x, Precision::full).v;
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
    return operands.size() == 1 ? call_function(c, op, {x.v}) : call_function(c, op, {x.v, operands[1]});
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
    default:
      return call_function(c, op, {x.v});
  }
}

}  // namespace croton
