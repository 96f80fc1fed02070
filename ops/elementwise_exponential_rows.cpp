#include "croton/ops/elementwise_table.h"

#include <numbers>

#include "croton/ops/elementwise_functions.h"
#include "croton/ops/elementwise_gradients.h"
#include "croton/ops/elementwise_lowering.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

namespace code = lowering;
using gradients::binary_gradient;
using gradients::Terms;
using gradients::unary_gradient;
using gradients::X;
using reference::binary;
using reference::Floats;
using reference::unary;

}  // namespace

std::vector<ElementwiseRow> exponential_rows() {
  return {
      {.name = "exp",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::exp>,
       .reference = unary<Floats>([](auto x) { return std::exp(x); }),
       .gradient = unary_gradient([](X, X y, X gy) { return gy * y; }),
       .doc = "Exponential.",
       .domain = {{-10, 10}}},
      {.name = "exp2",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::exp2>,
       .reference = unary<Floats>([](auto x) { return std::exp2(x); }),
       .gradient = unary_gradient([](X, X y, X gy) { return gy * y * std::numbers::ln2; }),
       .doc = "2 to the power x.",
       .domain = {{-10, 10}}},
      {.name = "expm1",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::expm1>,
       .reference = unary<Floats>([](auto x) { return std::expm1(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * exp(x); }),
       .doc = "exp(x) - 1, exact for small x.",
       .domain = {{-10, 10}}},
      {.name = "log",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::log>,
       .reference = unary<Floats>([](auto x) { return std::log(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / x; }),
       .doc = "Natural logarithm.",
       .domain = {{0.1, 100}}},
      {.name = "log2",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::log2>,
       .reference = unary<Floats>([](auto x) { return std::log2(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / (x * std::numbers::ln2); }),
       .doc = "Logarithm to base 2.",
       .domain = {{0.1, 100}}},
      {.name = "log10",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::log10>,
       .reference = unary<Floats>([](auto x) { return std::log10(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / (x * std::numbers::ln10); }),
       .doc = "Logarithm to base 10.",
       .domain = {{0.1, 100}}},
      {.name = "log1p",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::log1p>,
       .reference = unary<Floats>([](auto x) { return std::log1p(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / (1 + x); }),
       .doc = "log(1 + x), exact for small x.",
       .domain = {{-0.9, 100}}},
      {.name = "logaddexp",
       .arity = 2,
       .rule = DTypeRule::floating,
       .traits = commutative | associative | costly,
       .lower = code::logaddexp,
       .reference = binary<Floats>([](auto a, auto b) { return reference::logaddexp(a, b); }),
       .gradient =
           binary_gradient([](X a, X b, X, X gy) { return Terms{gy * sigmoid(a - b), gy * sigmoid(b - a)}; }),
       .doc = "log(exp(a) + exp(b)), without overflow."},
  };
}

}  // namespace croton
