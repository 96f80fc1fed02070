#include "croton/ops/assert_print.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "croton/graph/check_error.h"
#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/tensor.h"

namespace croton {

namespace {

constexpr std::array<std::string_view, 9> attribute_names = {"value", "shape", "dtype", "min",     "max",
                                                             "mean",  "sum",   "nan",   "infinite"};

struct Statistics {
  double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0;
  std::int64_t nans = 0, infinite = 0;
};

Statistics statistics_of(const Tensor& x) {
  Statistics all;
  visit_dtype(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (const T& element : x.elements<const T>()) {
      const auto value = static_cast<double>(element);
      all.low = std::isnan(value) ? value : std::min(all.low, value);
      all.high = std::isnan(value) ? value : std::max(all.high, value);
      all.sum += value;
      all.nans += std::isnan(value) ? 1 : 0;
      all.infinite += std::isinf(value) ? 1 : 0;
    }
  });
  return all;
}

std::string attribute_text(const Tensor& x, std::string_view attribute) {
  if (attribute == "value") return to_string(x);
  if (attribute == "shape") return to_string(x.shape());
  if (attribute == "dtype") return std::string(name_of(x.dtype()));
  const Statistics all = statistics_of(x);
  if (attribute == "nan") return std::to_string(all.nans);
  if (attribute == "infinite") return std::to_string(all.infinite);
  if (attribute == "sum") return fmt::format("{:.9g}", all.sum);
  if (x.size() == 0) return "(no elements)";
  if (attribute == "min") return fmt::format("{:.9g}", all.low);
  if (attribute == "max") return fmt::format("{:.9g}", all.high);
  return fmt::format("{:.9g}", all.sum / static_cast<double>(x.size()));
}

/// What passes its first input on.
class PassingOp : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.empty()) throw TypeError(name() + " takes a tensor");
    return {inputs[0].type()};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    std::vector<InputGradient> answers(node.input_count(), InputGradient::disconnected());
    answers[0] = gradients[0] ? InputGradient(gradients[0]) : InputGradient::disconnected();
    return answers;
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 0; }
  bool has_side_effect() const override { return true; }
};

class PrintOp final : public PassingOp {
 public:
  PrintOp() : PassingOp("print") {}
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const auto& message = node.attributes().get<std::string>("message");
    std::string_view list = node.attributes().get<std::string>("attributes");
    while (!list.empty()) {
      const std::size_t end = std::min(list.find(':'), list.size());
      const std::string_view attribute = list.substr(0, end);
      list.remove_prefix(std::min(end + 1, list.size()));
      send_message(Severity::info, fmt::format("{}{}{} = {}", message, message.empty() ? "" : " ", attribute,
                                               attribute_text(inputs[0], attribute)));
    }
    return {inputs[0].copy()};
  }
  std::string label(const Node& node) const override {
    return fmt::format("Print{{message='{}', attrs=({})}}", node.attributes().get<std::string>("message"),
                       node.attributes().get<std::string>("attributes"));
  }
};

class AssertOp final : public PassingOp {
 public:
  AssertOp() : PassingOp("assert") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.size() < 2) throw TypeError("assert takes a tensor and at least one condition");
    return {inputs[0].type()};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    for (std::size_t i = 1; i < inputs.size(); ++i) {
      bool holds = true;
      visit_dtype(inputs[i].dtype(), [&](auto tag) {
        using T = typename decltype(tag)::type;
        for (const T& element : inputs[i].elements<const T>()) {
          holds = holds && static_cast<double>(element) != 0;
        }
      });
      if (!holds) throw AssertionError(node.attributes().get<std::string>("message"));
    }
    return {inputs[0].copy()};
  }
  std::string label(const Node& node) const override {
    return fmt::format("Assert{{msg='{}'}}", node.attributes().get<std::string>("message"));
  }
};

[[maybe_unused]] const Op& print_registered_at_start = print_value_op();
[[maybe_unused]] const Op& assert_registered_at_start = assertion_op();

}  // namespace

const Op& print_value_op() {
  static const Op* const op = new PrintOp;
  return *op;
}

const Op& assertion_op() {
  static const Op* const op = new AssertOp;
  return *op;
}

Variable print_op(const Operand& x, std::string message, const std::vector<std::string>& attributes) {
  std::string list;
  for (const std::string& attribute : attributes) {
    if (std::ranges::find(attribute_names, attribute) == attribute_names.end()) {
      throw ValueError(fmt::format("print_op: there is no attribute '{}'{}; there are {}", attribute,
                                   did_you_mean(attribute, attribute_names),
                                   fmt::join(attribute_names, ", ")));
    }
    list += (list.empty() ? "" : ":") + attribute;
  }
  return apply_op(print_value_op(), {x.variable()},
                  {{"message", std::move(message)}, {"attributes", std::move(list)}}, x.where());
}

Variable assert_op(const Operand& x, const std::vector<Variable>& conditions, std::string message) {
  std::vector<Variable> inputs{x.variable()};
  inputs.insert(inputs.end(), conditions.begin(), conditions.end());
  return apply_op(assertion_op(), std::move(inputs), {{"message", std::move(message)}}, x.where());
}

Variable assert_op(const Operand& x, const Variable& condition, std::string message) {
  return assert_op(x, std::vector<Variable>{condition}, std::move(message));
}

}  // namespace croton
