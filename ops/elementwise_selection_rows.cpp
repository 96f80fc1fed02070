#include "croton/ops/elementwise_table.h"

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
using reference::conditional;
using reference::unary;

}  // namespace

std::vector<ElementwiseRow> selection_rows() {
  return {

      // selection and conversion
      {.name = "switch",
       .arity = 3,
       .rule = DTypeRule::select,
       .lower = code::select,
       .cuda = "({0} ? {1} : {2})",
       .reference = conditional([](auto c, auto a, auto b) { return c ? a : b; }),
       .gradient = gradients::of_switch,
       .doc = "The second operand where the first is not 0, the third elsewhere."},
      {.name = "second",
       .arity = 2,
       .rule = DTypeRule::second,
       .lower = code::last,
       .cuda = "{1}",
       .gradient = gradients::of_second,
       .doc = "The second operand broadcast against the first, whose values do not matter."},
      {.name = "cast",
       .rule = DTypeRule::cast,
       .lower = code::convert,
       .cuda = "static_cast<{T}>({0})",
       .gradient = gradients::of_cast,
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
       .gradient = gradients::of_grad_clip,
       .doc = "x itself; its gradient is cut to the interval of the attributes low and high."},
      {.name = "grad_scale",
       .lower = code::first,
       .cuda = "{0}",
       .reference = unary<AllTypes>([](auto x) { return x; }),
       .gradient = gradients::of_grad_scale,
       .doc = "x itself; its gradient is multiplied by the attribute factor."},
  };
}

}  // namespace croton
