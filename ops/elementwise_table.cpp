#include "croton/ops/elementwise_table.h"

#include <numbers>

#include "croton/ops/elementwise_functions.h"
#include "croton/ops/elementwise_lowering.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

namespace code = lowering;
using reference::AllTypes;
using reference::binary;
using reference::binary_predicate;
using reference::conditional;
using reference::Discrete;
using reference::Floats;
using reference::Integers;
using reference::Numbers;
using reference::ternary;
using reference::unary;
using reference::unary_predicate;

using X = const Variable&;
using Terms = std::vector<Variable>;
using Gradient = std::vector<Variable> (*)(const Node&, const Variable&);

/// f(x, y, gy) with y = the node's output.
template <class F>
constexpr Gradient unary_gradient(F) {
  return [](const Node& node, X gy) { return Terms{F{}(node.input(0), node.output(), gy)}; };
}
/// f(a, b, y, gy) gives the terms of a and b.
template <class F>
constexpr Gradient binary_gradient(F) {
  return [](const Node& node, X gy) { return F{}(node.input(0), node.input(1), node.output(), gy); };
}

Terms gradient_of_add(const Node& node, X gy) { return Terms(node.input_count(), gy); }

/// gy times the other factors: products of those before and of those after, so that n factors take 3 n
/// products.
Terms gradient_of_mul(const Node& node, X gy) {
  const std::size_t n = node.input_count();
  Terms terms(n);
  Variable before = gy;
  for (std::size_t i = 0; i < n; ++i) {
    terms[i] = before;
    if (i + 1 < n) before = before * node.input(i);
  }
  Variable after = node.input(n - 1);
  for (std::size_t i = n - 1; i-- > 0;) {
    terms[i] = terms[i] * after;
    if (i > 0) after = node.input(i) * after;
  }
  return terms;
}

/// The term of a constant exponent is never asked for: its logarithm would only be built to be dropped.
Terms gradient_of_pow(const Node& node, X gy) {
  const Variable &a = node.input(0), &b = node.input(1);
  Terms terms{gy * b * pow(a, b - 1), Variable()};
  if (!b.is_constant()) terms[1] = switch_(eq(a, 0), 0, gy * node.output() * log(a));
  return terms;
}

/// Of maximum and minimum: each input where it is the output and none before it is.
Terms gradient_of_extremum(const Node& node, X gy) {
  const std::size_t n = node.input_count();
  if (n == 2) {
    const Variable &a = node.input(0), &b = node.input(1);
    const bool largest = node.op().name() == "maximum";
    return {switch_(largest ? a >= b : a <= b, gy, 0), switch_(largest ? a < b : a > b, gy, 0)};
  }
  Terms terms(n);
  Variable left = gy;
  for (std::size_t i = 0; i < n; ++i) {
    const Variable chosen = eq(node.input(i), node.output());
    terms[i] = switch_(chosen, left, 0);
    if (i + 1 < n) left = switch_(chosen, 0, left);
  }
  return terms;
}

Terms gradient_of_clip(const Node& node, X gy) {
  const Variable &x = node.input(0), &low = node.input(1), &high = node.input(2);
  const Variable below = x < low;
  return {switch_((x >= low) & (x <= high), gy, 0), switch_(below, gy, 0),
          switch_(below, 0, switch_(x > high, gy, 0))};
}

Terms gradient_of_switch(const Node& node, X gy) {
  const Variable& condition = node.input(0);
  return {Variable(), switch_(condition, gy, 0), switch_(condition, 0, gy)};
}

Terms gradient_of_second(const Node&, X gy) { return {Variable(), gy}; }

/// An integer input gets the gradient of the real number that it stands for.
Terms gradient_of_cast(const Node& node, X gy) {
  const DType from = node.input(0).dtype();
  return {is_floating(from) ? cast(gy, from) : gy};
}

Terms gradient_of_grad_clip(const Node& node, X gy) {
  return {clip(gy, node.attributes().get<double>("low"), node.attributes().get<double>("high"))};
}
Terms gradient_of_grad_scale(const Node& node, X gy) {
  return {gy * node.attributes().get<double>("factor")};
}

template <class C, class F>
C rounded(C x, F f) {
  if constexpr (std::is_floating_point_v<C>)
    return f(x);
  else
    return x;
}
template <class C>
bool is_infinite(C x) {
  if constexpr (std::is_floating_point_v<C>)
    return std::isinf(x);
  else
    return false;
}
template <class C>
C inverted(C x) {
  if constexpr (std::is_same_v<C, bool>)
    return !x;
  else
    return static_cast<C>(~x);
}

}  // namespace

std::vector<ElementwiseRow> elementwise_table() {
  return {

      // arithmetic
      {.name = "add",
       .print = "({0} + {1})",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative,
       .lower = code::binary_or_logical<ScalarOp::add, ScalarOp::bit_or>,
       .cuda = "({0} + {1})",
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::sum(a, b); }),
       .gradient = gradient_of_add,
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
       .gradient = gradient_of_mul,
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
       .gradient = gradient_of_pow,
       .doc = "a to the power b; between integers by repeated multiplication, a negative exponent gives 1 / "
              "a^-b truncated.",
       .domain = {{0.1, 5}, {-3, 3}}},
      {.name = "maximum",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative | idempotent | increasing,
       .lower = code::binary_or_logical<ScalarOp::max, ScalarOp::bit_or>,
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::larger(a, b); }),
       .gradient = gradient_of_extremum,
       .doc = "The larger of the operands; NaN wins. Where they are equal the first has the gradient."},
      {.name = "minimum",
       .arity = 2,
       .variadic = true,
       .traits = commutative | associative | idempotent | increasing,
       .lower = code::binary_or_logical<ScalarOp::min, ScalarOp::bit_and>,
       .reference = binary<AllTypes>([](auto a, auto b) { return reference::smaller(a, b); }),
       .gradient = gradient_of_extremum,
       .doc = "The smaller of the operands; NaN wins. Where they are equal the first has the gradient."},
      {.name = "clip",
       .arity = 3,
       .lower = code::clip,
       .cuda = "({0} < {1} ? {1} : {0} > {2} ? {2} : {0})",
       .reference = ternary([](auto x, auto low, auto high) { return x < low    ? low
                                                                     : x > high ? high
                                                                                : x; }),
       .gradient = gradient_of_clip,
       .doc = "x cut to the interval; the lower bound is asked first. x has the gradient on the bounds too.",
       .domain = {{-10, 10}, {-5, -1}, {1, 5}}},

      // exponentials and logarithms
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

      // trigonometric and hyperbolic functions
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

      // comparisons
      {.name = "lt",
       .print = "({0} < {1})",
       .arity = 2,
       .rule = DTypeRule::predicate,
       .lower = code::comparison<ScalarOp::lt>,
       .cuda = "({0} < {1})",
       .reference = binary_predicate([](auto a, auto b) { return a < b; }),
       .doc = "a < b.",
       .domain = {{-3, 3}}},
      {.name = "le",
       .print = "({0} <= {1})",
       .arity = 2,
       .rule = DTypeRule::predicate,
       .lower = code::comparison<ScalarOp::le>,
       .cuda = "({0} <= {1})",
       .reference = binary_predicate([](auto a, auto b) { return a <= b; }),
       .doc = "a <= b.",
       .domain = {{-3, 3}}},
      {.name = "gt",
       .print = "({0} > {1})",
       .arity = 2,
       .rule = DTypeRule::predicate,
       .lower = code::comparison<ScalarOp::gt>,
       .cuda = "({0} > {1})",
       .reference = binary_predicate([](auto a, auto b) { return a > b; }),
       .doc = "a > b.",
       .domain = {{-3, 3}}},
      {.name = "ge",
       .print = "({0} >= {1})",
       .arity = 2,
       .rule = DTypeRule::predicate,
       .lower = code::comparison<ScalarOp::ge>,
       .cuda = "({0} >= {1})",
       .reference = binary_predicate([](auto a, auto b) { return a >= b; }),
       .doc = "a >= b.",
       .domain = {{-3, 3}}},
      {.name = "eq",
       .arity = 2,
       .rule = DTypeRule::predicate,
       .traits = commutative,
       .lower = code::comparison<ScalarOp::eq>,
       .cuda = "({0} == {1})",
       .reference = binary_predicate([](auto a, auto b) { return a == b; }),
       .doc = "a equals b; NaN equals nothing.",
       .domain = {{-3, 3}}},
      {.name = "neq",
       .arity = 2,
       .rule = DTypeRule::predicate,
       .traits = commutative,
       .lower = code::comparison<ScalarOp::ne>,
       .cuda = "({0} != {1})",
       .reference = binary_predicate([](auto a, auto b) { return a != b; }),
       .doc = "a differs from b.",
       .domain = {{-3, 3}}},
      {.name = "isnan",
       .rule = DTypeRule::predicate,
       .lower = code::floating_predicate<ScalarOp::isnan>,
       .reference = unary_predicate([](auto x) { return x != x; }),
       .doc = "Whether x is NaN."},
      {.name = "isinf",
       .rule = DTypeRule::predicate,
       .traits = even_function,
       .lower = code::floating_predicate<ScalarOp::isinf>,
       .reference = unary_predicate([](auto x) { return is_infinite(x); }),
       .doc = "Whether x is an infinity of either sign."},

      // bits and logic
      {.name = "and_",
       .print = "({0} & {1})",
       .arity = 2,
       .rule = DTypeRule::bitwise,
       .traits = commutative | associative | idempotent,
       .lower = code::binary<ScalarOp::bit_and>,
       .cuda = "({0} & {1})",
       .reference = binary<Discrete>([](auto a, auto b) { return a & b; }),
       .doc = "And, bit by bit; between bools the logical one."},
      {.name = "or_",
       .print = "({0} | {1})",
       .arity = 2,
       .rule = DTypeRule::bitwise,
       .traits = commutative | associative | idempotent,
       .lower = code::binary<ScalarOp::bit_or>,
       .cuda = "({0} | {1})",
       .reference = binary<Discrete>([](auto a, auto b) { return a | b; }),
       .doc = "Or, bit by bit; between bools the logical one."},
      {.name = "xor_",
       .print = "({0} ^ {1})",
       .arity = 2,
       .rule = DTypeRule::bitwise,
       .traits = commutative | associative,
       .lower = code::binary<ScalarOp::bit_xor>,
       .cuda = "({0} ^ {1})",
       .reference = binary<Discrete>([](auto a, auto b) { return a ^ b; }),
       .doc = "Exclusive or, bit by bit; between bools the logical one."},
      {.name = "invert",
       .print = "(~{0})",
       .rule = DTypeRule::bitwise,
       .traits = involution,
       .lower = code::invert,
       .reference = unary<Discrete>([](auto x) { return inverted(x); }),
       .doc = "Every bit inverted; of a bool its negation."},
      {.name = "lshift",
       .print = "({0} << {1})",
       .arity = 2,
       .rule = DTypeRule::shift,
       .lower = code::shift<ScalarOp::shift_left>,
       .cuda = "shift_left({0}, {1})",
       .reference = binary<Integers>([](auto a, auto b) { return reference::shift_left(a, b); }),
       .doc = "a shifted left by b bits; 0 when b is negative or not below the width.",
       .domain = {{-100, 100}, {0, 7}}},
      {.name = "rshift",
       .print = "({0} >> {1})",
       .arity = 2,
       .rule = DTypeRule::shift,
       .lower = code::shift<ScalarOp::shift_right>,
       .cuda = "shift_right({0}, {1})",
       .reference = binary<Integers>([](auto a, auto b) { return reference::shift_right(a, b); }),
       .doc = "a shifted right by b bits, keeping the sign; all bits go when b is negative or not below the "
              "width.",
       .domain = {{-100, 100}, {0, 7}}},

      // selection and conversion
      {.name = "switch",
       .arity = 3,
       .rule = DTypeRule::select,
       .lower = code::select,
       .cuda = "({0} ? {1} : {2})",
       .reference = conditional([](auto c, auto a, auto b) { return c ? a : b; }),
       .gradient = gradient_of_switch,
       .doc = "The second operand where the first is not 0, the third elsewhere."},
      {.name = "second",
       .arity = 2,
       .rule = DTypeRule::second,
       .lower = code::last,
       .cuda = "{1}",
       .gradient = gradient_of_second,
       .doc = "The second operand broadcast against the first, whose values do not matter."},
      {.name = "cast",
       .rule = DTypeRule::cast,
       .lower = code::convert,
       .cuda = "static_cast<{T}>({0})",
       .gradient = gradient_of_cast,
       .doc = "x converted to a dtype: to bool by comparison with 0; from floating to integer truncated and "
              "saturated, NaN to 0; between integers the low bits."},
      {.name = "identity",
       .traits = idempotent | increasing | odd_function,
       .lower = code::first,
       .cuda = "{0}",
       .reference = unary<AllTypes>([](auto x) { return x; }),
       .gradient = unary_gradient([](X, X, X gy) { return gy; }),
       .doc = "x itself, in memory of its own."},

      // x itself with another gradient
      {.name = "disconnected_grad",
       .traits = disconnected_gradient,
       .lower = code::first,
       .cuda = "{0}",
       .reference = unary<AllTypes>([](auto x) { return x; }),
       .doc = "x itself, through which no gradient flows: what lies behind is disconnected."},
      {.name = "zero_grad",
       .traits = zero_gradient,
       .lower = code::first,
       .cuda = "{0}",
       .reference = unary<AllTypes>([](auto x) { return x; }),
       .doc = "x itself with a gradient of zeros."},
      {.name = "grad_clip",
       .lower = code::first,
       .cuda = "{0}",
       .reference = unary<AllTypes>([](auto x) { return x; }),
       .gradient = gradient_of_grad_clip,
       .doc = "x itself; its gradient is cut to the interval of the attributes low and high."},
      {.name = "grad_scale",
       .lower = code::first,
       .cuda = "{0}",
       .reference = unary<AllTypes>([](auto x) { return x; }),
       .gradient = gradient_of_grad_scale,
       .doc = "x itself; its gradient is multiplied by the attribute factor."},
  };
}

}  // namespace croton
