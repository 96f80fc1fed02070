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
using reference::AllTypes;
using reference::binary;
using reference::Floats;
using reference::Numbers;
using reference::ternary;
using reference::unary;

}  // namespace

std::vector<ElementwiseRow> arithmetic_rows() {
  return {
      {.name = "add",
       .print = "({0} + {1})",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative,
       .lower = code::binary_or_logical<ScalarOp::add, ScalarOp::bit_or>,
       .cuda = "({0} + {1})",
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::sum(a, b); }),
       .gradient = gradients::of_add,
       .doc = "Sum; between bools `or`."},
      {.name = "sub",
       .print = "({0} - {1})",
       .arity = 2,
       .rule = DTypeRule::no_bool,
       .lower = code::binary<ScalarOp::sub>,
       .cuda = "({0} - {1})",
       .reference = binary<Numbers>([](auto a, auto b) { return reference::difference(a, b); }),
       .gradient = binary_gradient([](X, X, X, X gy) { return Terms{gy, -gy}; }),
       .doc = "Difference; not for bools."},
      {.name = "mul",
       .print = "({0} * {1})",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative,
       .lower = code::binary_or_logical<ScalarOp::mul, ScalarOp::bit_and>,
       .cuda = "({0} * {1})",
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::product(a, b); }),
       .gradient = gradients::of_mul,
       .doc = "Product; between bools `and`."},
      {.name = "true_div",
       .print = "({0} / {1})",
       .arity = 2,
       .rule = DTypeRule::floating,
       .lower = code::binary<ScalarOp::div>,
       .cuda = "({0} / {1})",
       .reference = binary<Floats>([](auto a, auto b) { return a / b; }),
       .gradient = binary_gradient([](X, X b, X y, X gy) { return Terms{gy / b, -(gy * y) / b}; }),
       .doc = "Quotient; of integers in floatX.",
       .domain = {{-10, 10}, {0.5, 10}}},
      {.name = "floor_div",
       .print = "({0} // {1})",
       .arity = 2,
       .rule = DTypeRule::number,
       .traits = zero_gradient,
       .lower = code::binary<ScalarOp::floor_div>,
       .reference = binary<Numbers>([](auto a, auto b) { return reference::floor_div(a, b); }),
       .doc = "The largest integer not above the quotient; an integer divided by 0 gives 0.",
       .domain = {{-10, 10}, {0.5, 10}}},
      {.name = "mod",
       .print = "({0} % {1})",
       .arity = 2,
       .rule = DTypeRule::number,
       .lower = code::binary<ScalarOp::floor_mod>,
       .reference = binary<Numbers>([](auto a, auto b) { return reference::floor_mod(a, b); }),
       .gradient = binary_gradient([](X a, X b, X, X gy) { return Terms{gy, -gy * floor_div(a, b)}; }),
       .doc = "Remainder of the divisor's sign: a - floor_div(a, b) * b; of an integer by 0 it is 0.",
       .domain = {{-10, 10}, {0.5, 10}}},
      {.name = "neg",
       .print = "(-{0})",
       .rule = DTypeRule::no_bool,
       .traits = involution | odd_function,
       .lower = code::unary<ScalarOp::neg>,
       .cuda = "(-{0})",
       .reference = unary<Numbers>([](auto x) { return reference::negative(x); }),
       .gradient = unary_gradient([](X, X, X gy) { return -gy; }),
       .doc = "Negative; not for bools."},
      {.name = "reciprocal",
       .rule = DTypeRule::floating,
       .traits = odd_function,
       .lower = code::reciprocal,
       .cuda = "({T}(1) / {0})",
       .reference = unary<Floats>([](auto x) { return 1 / x; }),
       .gradient = unary_gradient([](X, X y, X gy) { return -gy * sqr(y); }),
       .doc = "1 / x.",
       .domain = {{0.2, 10}}},
      {.name = "sqr",
       .traits = even_function,
       .lower = code::square,
       .cuda = "({0} * {0})",
       .reference = unary<AllTypes>([](auto x) { return reference::product(x, x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * (2 * x); }),
       .doc = "Square."},
      {.name = "sqrt",
       .rule = DTypeRule::floating,
       .traits = increasing,
       .lower = code::unary<ScalarOp::sqrt>,
       .reference = unary<Floats>([](auto x) { return std::sqrt(x); }),
       .gradient = unary_gradient([](X, X y, X gy) { return gy * 0.5 / y; }),
       .doc = "Square root; NaN below 0.",
       .domain = {{0.1, 100}}},
      {.name = "abs",
       .traits = idempotent | even_function,
       .lower = code::absolute,
       .reference = unary<AllTypes>([](auto x) { return reference::magnitude(x); }),
       .gradient = unary_gradient([](X x, X, X gy) { return gy * sgn(x); }),
       .doc = "Absolute value; its derivative at 0 is 0."},
      {.name = "sgn",
       .traits = idempotent | odd_function | increasing | zero_gradient,
       .lower = code::sign,
       .reference = unary<AllTypes>([](auto x) { return reference::sign(x); }),
       .doc = "-1, 0 or 1: the sign."},
      {.name = "pow",
       .print = "({0} ** {1})",
       .arity = 2,
       .rule = DTypeRule::number,
       .traits = costly,
       .lower = code::binary<ScalarOp::pow>,
       .reference = binary<Numbers>([](auto a, auto b) { return reference::power(a, b); }),
       .gradient = gradients::of_pow,
       .doc = "a to the power b; between integers by repeated multiplication, a negative exponent gives 1 / "
              "a^-b truncated.",
       .domain = {{0.1, 5}, {-3, 3}}},
      {.name = "maximum",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative | idempotent | increasing,
       .lower = code::binary_or_logical<ScalarOp::max, ScalarOp::bit_or>,
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::larger(a, b); }),
       .gradient = gradients::of_extremum,
       .doc = "The larger of the operands; NaN wins. Where they are equal the first has the gradient."},
      {.name = "minimum",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative | idempotent | increasing,
       .lower = code::binary_or_logical<ScalarOp::min, ScalarOp::bit_and>,
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::smaller(a, b); }),
       .gradient = gradients::of_extremum,
       .doc = "The smaller of the operands; NaN wins. Where they are equal the first has the gradient."},
      {.name = "clip",
       .arity = 3,
       .lower = code::clip,
       .cuda = "({0} < {1} ? {1} : {0} > {2} ? {2} : {0})",
       .reference = ternary([](auto x, auto low, auto high) { return x < low    ? low
                                                                     : x > high ? high
                                                                                : x; }),
       .gradient = gradients::of_clip,
       .doc = "x cut to the interval; the lower bound is asked first. x has the gradient on the bounds too.",
       .domain = {{-10, 10}, {-5, -1}, {1, 5}}},
  };
}

}  // namespace croton
