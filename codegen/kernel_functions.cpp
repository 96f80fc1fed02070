#include "croton/codegen/kernel_functions.h"

#include <cmath>
#include <cstring>

#include "croton/graph/error.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

template <ScalarOp op>
float unary32(float x) {
  return static_cast<float>(scalar_function(op, x, 0));
}
template <ScalarOp op>
double unary64(double x) {
  return scalar_function(op, x, 0);
}
template <ScalarOp op>
float binary32(float x, float y) {
  if constexpr (op == ScalarOp::floor_div) return reference::floor_div(x, y);
  if constexpr (op == ScalarOp::floor_mod) return reference::floor_mod(x, y);
  return static_cast<float>(scalar_function(op, x, y));
}
template <ScalarOp op>
double binary64(double x, double y) {
  return scalar_function(op, x, y);
}

template <class F>
void* address_of(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

double scalar_function(ScalarOp op, double a, double b) {
  switch (op) {
    case ScalarOp::exp:
      return std::exp(a);
    case ScalarOp::exp2:
      return std::exp2(a);
    case ScalarOp::expm1:
      return std::expm1(a);
    case ScalarOp::log:
      return std::log(a);
    case ScalarOp::log2:
      return std::log2(a);
    case ScalarOp::log10:
      return std::log10(a);
    case ScalarOp::log1p:
      return std::log1p(a);
    case ScalarOp::sin:
      return std::sin(a);
    case ScalarOp::cos:
      return std::cos(a);
    case ScalarOp::tan:
      return std::tan(a);
    case ScalarOp::asin:
      return std::asin(a);
    case ScalarOp::acos:
      return std::acos(a);
    case ScalarOp::atan:
      return std::atan(a);
    case ScalarOp::sinh:
      return std::sinh(a);
    case ScalarOp::cosh:
      return std::cosh(a);
    case ScalarOp::tanh:
      return std::tanh(a);
    case ScalarOp::asinh:
      return std::asinh(a);
    case ScalarOp::acosh:
      return std::acosh(a);
    case ScalarOp::atanh:
      return std::atanh(a);
    case ScalarOp::erf:
      return std::erf(a);
    case ScalarOp::erfc:
      return std::erfc(a);
    case ScalarOp::lgamma:
      return reference::gammaln(a);
    case ScalarOp::tgamma:
      return std::tgamma(a);
    case ScalarOp::digamma:
      return reference::digamma(a);
    case ScalarOp::sigmoid:
      return reference::sigmoid(a);
    case ScalarOp::softplus:
      return reference::softplus(a);
    case ScalarOp::pow:
      return std::pow(a, b);
    case ScalarOp::atan2:
      return std::atan2(a, b);
    case ScalarOp::floor_div:
      return reference::floor_div(a, b);
    case ScalarOp::floor_mod:
      return reference::floor_mod(a, b);
    default:
      throw InternalError("no function of one point");
  }
}

std::span<const KernelFunction> kernel_functions() {
#define CROTON_UNARY(name)                                              \
  {"croton_" #name "_float32", address_of(&unary32<ScalarOp::name>)}, { \
    "croton_" #name "_float64", address_of(&unary64<ScalarOp::name>)    \
  }
#define CROTON_BINARY(name)                                              \
  {"croton_" #name "_float32", address_of(&binary32<ScalarOp::name>)}, { \
    "croton_" #name "_float64", address_of(&binary64<ScalarOp::name>)    \
  }
  static const KernelFunction functions[] = {
      CROTON_UNARY(exp),
      CROTON_UNARY(exp2),
      CROTON_UNARY(expm1),
      CROTON_UNARY(log),
      CROTON_UNARY(log2),
      CROTON_UNARY(log10),
      CROTON_UNARY(log1p),
      CROTON_UNARY(sin),
      CROTON_UNARY(cos),
      CROTON_UNARY(tan),
      CROTON_UNARY(asin),
      CROTON_UNARY(acos),
      CROTON_UNARY(atan),
      CROTON_UNARY(sinh),
      CROTON_UNARY(cosh),
      CROTON_UNARY(tanh),
      CROTON_UNARY(asinh),
      CROTON_UNARY(acosh),
      CROTON_UNARY(atanh),
      CROTON_UNARY(erf),
      CROTON_UNARY(erfc),
      CROTON_UNARY(lgamma),
      CROTON_UNARY(tgamma),
      CROTON_UNARY(digamma),
      CROTON_UNARY(sigmoid),
      CROTON_UNARY(softplus),
      CROTON_BINARY(pow),
      CROTON_BINARY(atan2),
      CROTON_BINARY(floor_div),
      CROTON_BINARY(floor_mod),
      {"croton_pow_int64", address_of(&reference::power<std::int64_t>)},
      {"croton_pow_uint64", address_of(&reference::power<std::uint64_t>)},
      {"floorf", address_of(static_cast<float (*)(float)>(&std::floor))},
      {"floor", address_of(static_cast<double (*)(double)>(&std::floor))},
      {"ceilf", address_of(static_cast<float (*)(float)>(&std::ceil))},
      {"ceil", address_of(static_cast<double (*)(double)>(&std::ceil))},
      {"truncf", address_of(static_cast<float (*)(float)>(&std::trunc))},
      {"trunc", address_of(static_cast<double (*)(double)>(&std::trunc))},
      {"rintf", address_of(static_cast<float (*)(float)>(&std::rint))},
      {"rint", address_of(static_cast<double (*)(double)>(&std::rint))},
      {"fmaf", address_of(static_cast<float (*)(float, float, float)>(&std::fma))},
      {"fma", address_of(static_cast<double (*)(double, double, double)>(&std::fma))},
      {"memcpy", address_of(&std::memcpy)},
      {"memmove", address_of(&std::memmove)},
      {"memset", address_of(&std::memset)},
  };
#undef CROTON_UNARY
#undef CROTON_BINARY
  return functions;
}

}  // namespace croton
