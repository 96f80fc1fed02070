#include "croton/ops/elementwise_table.h"

#include "croton/ops/elementwise_lowering.h"
#include "croton/ops/elementwise_reference.h"

namespace croton {

namespace {

namespace code = lowering;
using reference::binary;
using reference::binary_predicate;
using reference::Discrete;
using reference::Integers;
using reference::unary;
using reference::unary_predicate;

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

std::vector<ElementwiseRow> logic_rows() {
  return {

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
  };
}

}  // namespace croton
