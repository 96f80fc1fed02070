#include "croton/ops/elementwise_table.h"

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

std::vector<ElementwiseRow> trigonometric_rows() {
  return {
      {.name = "sin",
       .rule = DTypeRule::floating,
       .traits = odd_function | costly,
       .lower = code::unary<ScalarOp::sin>,
       .reference = unary<Floats>([](auto x) { return std::sin(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * cos(x); }),
       .doc = "Sine of radians."},
      {.name = "cos",
       .rule = DTypeRule::floating,
       .traits = even_function | costly,
       .lower = code::unary<ScalarOp::cos>,
       .reference = unary<Floats>([](auto x) { return std::cos(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return -gy * sin(x); }),
       .doc = "Cosine of radians."},
      {.name = "tan",
       .rule = DTypeRule::floating,
       .traits = odd_function | costly,
       .lower = code::unary<ScalarOp::tan>,
       .reference = unary<Floats>([](auto x) { return std::tan(x); }),
       .gradient = unary_gradient([](X, X y, X gy) { return gy * (1 + sqr(y)); }),
       .doc = "Tangent of radians.",
       .domain = {{-1.4, 1.4}}},
      {.name = "arcsin",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::asin>,
       .cuda = "asin({0})",
       .reference = unary<Floats>([](auto x) { return std::asin(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / sqrt(1 - sqr(x)); }),
       .doc = "Inverse sine.",
       .domain = {{-0.95, 0.95}}},
      {.name = "arccos",
       .rule = DTypeRule::floating,
       .traits = costly,
       .lower = code::unary<ScalarOp::acos>,
       .cuda = "acos({0})",
       .reference = unary<Floats>([](auto x) { return std::acos(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return -gy / sqrt(1 - sqr(x)); }),
       .doc = "Inverse cosine.",
       .domain = {{-0.95, 0.95}}},
      {.name = "arctan",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::atan>,
       .cuda = "atan({0})",
       .reference = unary<Floats>([](auto x) { return std::atan(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / (1 + sqr(x)); }),
       .doc = "Inverse tangent."},
      {.name = "arctan2",
       .arity = 2,
       .rule = DTypeRule::floating,
       .traits = costly,
       .lower = code::binary<ScalarOp::atan2>,
       .cuda = "atan2({0}, {1})",
       .reference = binary<Floats>([](auto a, auto b) { return std::atan2(a, b); }),
       .gradient = binary_gradient(
           [](X a, X b, X, X gy) { return Terms{gy * b / (sqr(a) + sqr(b)), -gy * a / (sqr(a) + sqr(b))}; }),
       .doc = "The angle of the point (b, a): arctan(a / b) in the right quadrant.",
       .domain = {{0.5, 10}, {-10, 10}}},
      {.name = "sinh",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::sinh>,
       .reference = unary<Floats>([](auto x) { return std::sinh(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * cosh(x); }),
       .doc = "Hyperbolic sine.",
       .domain = {{-5, 5}}},
      {.name = "cosh",
       .rule = DTypeRule::floating,
       .traits = even_function | costly,
       .lower = code::unary<ScalarOp::cosh>,
       .reference = unary<Floats>([](auto x) { return std::cosh(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * sinh(x); }),
       .doc = "Hyperbolic cosine.",
       .domain = {{-5, 5}}},
      {.name = "tanh",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::tanh>,
       .reference = unary<Floats>([](auto x) { return std::tanh(x); }),
       .gradient = unary_gradient([](X, X y, X gy) { return gy * (1 - sqr(y)); }),
       .doc = "Hyperbolic tangent.",
       .domain = {{-20, 20}}},
      {.name = "arcsinh",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::asinh>,
       .cuda = "asinh({0})",
       .reference = unary<Floats>([](auto x) { return std::asinh(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / sqrt(1 + sqr(x)); }),
       .doc = "Inverse hyperbolic sine."},
      {.name = "arccosh",
       .rule = DTypeRule::floating,
       .traits = increasing | costly,
       .lower = code::unary<ScalarOp::acosh>,
       .cuda = "acosh({0})",
       .reference = unary<Floats>([](auto x) { return std::acosh(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / sqrt(sqr(x) - 1); }),
       .doc = "Inverse hyperbolic cosine; NaN below 1.",
       .domain = {{1.1, 20}}},
      {.name = "arctanh",
       .rule = DTypeRule::floating,
       .traits = odd_function | increasing | costly,
       .lower = code::unary<ScalarOp::atanh>,
       .cuda = "atanh({0})",
       .reference = unary<Floats>([](auto x) { return std::atanh(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy / (1 - sqr(x)); }),
       .doc = "Inverse hyperbolic tangent.",
       .domain = {{-0.95, 0.95}}},
  };
}

}  // namespace croton
