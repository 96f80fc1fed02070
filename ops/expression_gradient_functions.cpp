// Rows of the functions of expressions: grad and what steers it.

#include <fmt/format.h>

#include "croton/graph/nearest_names.h"
#include "croton/ops/expression_call.h"
#include "croton/ops/grad.h"

namespace croton::expression {
namespace {

/// One variable for one, a list for a list.
Value like_wrt(const Call& c, const std::vector<Variable>& gradients) {
  if (c.value("wrt").as<Value::List>() == nullptr) return {gradients.at(0)};
  Value::List list;
  for (const Variable& gradient : gradients) list.push_back({gradient});
  return {std::move(list)};
}

GradOptions grad_options(const Call& c) {
  GradOptions options;
  options.consider_constant = c.variables("consider_constant");
  const std::string disconnected = c.text("disconnected_inputs");
  static constexpr std::string_view words[] = {"raise", "warn", "ignore"};
  if (disconnected == "raise")
    options.disconnected_inputs = DisconnectedInputs::raise;
  else if (disconnected == "warn")
    options.disconnected_inputs = DisconnectedInputs::warn;
  else if (disconnected == "ignore")
    options.disconnected_inputs = DisconnectedInputs::ignore;
  else
    c.fail_because("disconnected_inputs", fmt::format("is 'raise', 'warn' or 'ignore', got '{}'{}",
                                                      disconnected, did_you_mean(disconnected, words)));
  return options;
}

Value grad_of(const Call& c) {
  GradOptions options = grad_options(c);
  if (const auto* pairs = c.value("known_grads").as<Value::List>()) {
    for (const Value& entry : *pairs) {
      const auto* pair = entry.as<Value::List>();
      const Variable* of = pair != nullptr && pair->size() == 2 ? (*pair)[0].as<Variable>() : nullptr;
      const Variable* gradient = of != nullptr ? (*pair)[1].as<Variable>() : nullptr;
      if (gradient == nullptr) c.fail_because("known_grads", "takes {y: gy, …} of tensors");
      options.known_grads.emplace_back(*of, *gradient);
    }
  } else if (!c.is_none("known_grads")) {
    c.fail("known_grads", "{y: gy, …}");
  }
  const Cost cost = c.is_none("cost") ? Cost(none) : Cost(c.variable("cost"));
  return like_wrt(c, grad(cost, c.variables("wrt"), options));
}

}  // namespace

std::vector<FunctionRow> gradient_functions() {
  return {
      {"grad(cost, wrt, consider_constant=(), disconnected_inputs='raise', known_grads=none)",
       "The gradient of a scalar with respect to a variable, or a list of them for a list.", grad_of},
      {"Lop(f, wrt, v)", "v^T J: the gradient of sum(f * v).",
       [](const Call& c) -> Value {
         return like_wrt(c, Lop(c.variables("f"), c.variables("wrt"), c.variables("v")));
       }},
      {"grad_clip(x, low, high)", "x; its gradient is cut to [low, high].",
       [](const Call& c) -> Value { return {grad_clip(c.operand("x"), c.real("low"), c.real("high"))}; }},
      {"grad_scale(x, factor)", "x; its gradient is multiplied.",
       [](const Call& c) -> Value { return {grad_scale(c.operand("x"), c.real("factor"))}; }},
  };
}

}  // namespace croton::expression
