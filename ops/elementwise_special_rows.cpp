#include "croton/ops/elementwise_table.h"

#include <numbers>

#include "croton/ops/elementwise_functions.h"
#include "croton/ops/elementwise_gradients.h"
#include "croton/ops/elementwise_lowering.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

namespace code = lowering;
using gradients::unary_gradient;
using gradients::X;
using reference::AllTypes;
using reference::Floats;
using reference::unary;

template <class C, class F>
C rounded(C x, F f) {
  if constexpr (std::is_floating_point_v<C>)
    return f(x);
  else
    return x;
}

}  // namespace

std::vector<ElementwiseRow> special_rows() {
  return {

      // special functions
      {.name = "erf",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::erf>,
       .reference = unary<Floats>([](auto x) { return std::erf(x); }),
       .gradient =
           unary_gradient([](X x, X, X gy) { return gy * (2 * std::numbers::inv_sqrtpi) * exp(-sqr(x)); }),
       .doc = "Error function.",
       .domain = {{-4, 4}}},
      {.name = "erfc",
       .rule = DTypeRule::floating,
       .traits = costly,
       .lower = code::unary<ScalarOp::erfc>,
       .reference = unary<Floats>([](auto x) { return std::erfc(x); }),
       .gradient =
           unary_gradient([](X x, X, X gy) { return -gy * (2 * std::numbers::inv_sqrtpi) * exp(-sqr(x)); }),
       .doc = "1 - erf(x), exact for large x.",
       .domain = {{-4, 4}}},
      {.name = "gammaln",
       .rule = DTypeRule::floating,
       .traits = costly,
       .lower = code::unary<ScalarOp::lgamma>,
       .cuda = "lgamma({0})",
       .reference = unary<Floats>([](auto x) { return reference::gammaln(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * psi(x); }),
       .doc = "Logarithm of the absolute value of the gamma function.",
       .domain = {{0.1, 50}}},
      {.name = "psi",
       .rule = DTypeRule::floating,
       .traits = costly,
       .lower = code::unary<ScalarOp::digamma>,
       .cuda = "digamma({0})",
       .reference = unary<Floats>([](auto x) { return reference::digamma(x); }),
       .doc = "Digamma function, the derivative of gammaln; it has no gradient itself.",
       .domain = {{0.1, 50}}},
      {.name = "sigmoid",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::sigmoid>,
       .reference = unary<Floats>([](auto x) { return reference::sigmoid(x); }),
       .gradient = unary_gradient([](X, X y, X gy) { return gy * y * (1 - y); }),
       .doc = "1 / (1 + exp(-x)).",
       .domain = {{-20, 20}}},
      {.name = "softplus",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::softplus>,
       .reference = unary<Floats>([](auto x) { return reference::softplus(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * sigmoid(x); }),
       .doc = "log(1 + exp(x)), without overflow.",
       .domain = {{-20, 20}}},

      // rounding
      {.name = "floor",
       .traits = idempotent | increasing | zero_gradient,
       .lower = code::unary_floating<ScalarOp::floor>,
       .reference =
           unary<AllTypes>([](auto x) { return rounded(x, [](double v) { return std::floor(v); }); }),
       .doc = "The largest integer not above x. Integers stay as they are."},
      {.name = "ceil",
       .traits = idempotent | increasing | zero_gradient,
       .lower = code::unary_floating<ScalarOp::ceil>,
       .reference = unary<AllTypes>([](auto x) { return rounded(x, [](double v) { return std::ceil(v); }); }),
       .doc = "The smallest integer not below x. Integers stay as they are."},
      {.name = "trunc",
       .traits = idempotent | increasing | zero_gradient | odd_function,
       .lower = code::unary_floating<ScalarOp::trunc>,
       .reference =
           unary<AllTypes>([](auto x) { return rounded(x, [](double v) { return std::trunc(v); }); }),
       .doc = "x without its fraction. Integers stay as they are."},
      {.name = "round",
       .traits = idempotent | increasing | zero_gradient | odd_function,
       .lower = code::unary_floating<ScalarOp::rint>,
       .cuda = "rint({0})",
       .reference =
           unary<AllTypes>([](auto x) { return rounded(x, [](double v) { return std::nearbyint(v); }); }),
       .doc = "The nearest integer, the even one when two are as near. Integers stay as they are."},
  };
}

}  // namespace croton
