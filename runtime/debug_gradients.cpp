#include "croton/runtime/debug_gradients.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "croton/graph/check_error.h"
#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/evaluate.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/node_text.h"

namespace croton {

namespace {

constexpr std::int64_t most_elements = 1 << 14;

/// Their gradient is meant to be another one.
bool bends_gradients(const Op& op) {
  constexpr std::string_view markers[] = {"disconnected_grad", "zero_grad", "grad_clip", "grad_scale"};
  return std::ranges::find(markers, op.name()) != std::end(markers);
}

Tensor random_like(const Shape& shape, std::mt19937_64& random) {
  const Tensor tensor = Tensor::empty(shape, DType::float64);
  std::uniform_real_distribution<double> draw(0.25, 1);
  for (double& x : tensor.elements<double>()) x = random() % 2 == 0 ? draw(random) : -draw(random);
  return tensor;
}

double inner_product(const Tensor& a, const Tensor& b) {
  const Tensor x = a.astype(DType::float64), y = b.astype(DType::float64);
  const auto others = y.elements<const double>();  // its iterators look into it
  auto other = others.begin();
  double sum = 0;
  for (const double& element : x.elements<const double>()) sum += element * *other++;
  return sum;
}

Tensor moved(const Tensor& x, const Tensor& direction, double step) {
  const Tensor result = x.copy();
  const auto directions = direction.elements<const double>();
  auto along = directions.begin();
  for (double& element : result.elements<double>()) element += step * *along++;
  return result;
}

/// A node over float64 inputs with values of its own.
struct WideNode {
  Ref<Node> node;
  std::vector<Variable> inputs;
  std::vector<Tensor> values;
};

std::optional<WideNode> widen(const Node& node, RewriteChecker& values) {
  WideNode wide;
  std::int64_t elements = 0;
  for (const Variable& input : node.inputs()) {
    const Tensor* value = values.value_of(input);
    if (value == nullptr || !is_all_finite(*value)) return std::nullopt;
    elements += value->size();
    wide.values.push_back(is_floating(value->dtype()) ? value->astype(DType::float64).copy() : *value);
    wide.inputs.push_back(
        input.is_constant() && !is_floating(value->dtype())
            ? input
            : Variable(Node::make_input({wide.values.back().dtype(), input.type().shape}, input.name(), {})));
  }
  if (elements > most_elements) return std::nullopt;
  wide.node = make_node(node.op(), wide.inputs, node.attributes(), node.where());
  for (std::size_t i = 0; i < wide.node->output_count(); ++i) {
    // A cast: what it rounds away is more than the differences that are looked for.
    if (is_floating(wide.node->type(i).dtype) && wide.node->type(i).dtype != DType::float64)
      return std::nullopt;
  }
  return wide;
}

class NodeGradient {
 public:
  NodeGradient(const Node& original, WideNode wide) : original_(original), wide_(std::move(wide)) {
    const std::vector<Tensor> outputs = wide_.node->op().evaluate(*wide_.node, wide_.values);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!is_floating(outputs[i].dtype())) {
        weights_.emplace_back();
        gradients_.emplace_back();
        continue;
      }
      weights_.push_back(random_like(outputs[i].shape(), random_));
      gradients_.emplace_back(Node::make_input({DType::float64, wide_.node->type(i).shape}, "", {}));
      given_.emplace(gradients_.back(), weights_.back());
    }
    for (std::size_t i = 0; i < wide_.inputs.size(); ++i) {
      if (!wide_.inputs[i].is_constant()) given_.emplace(wide_.inputs[i], wide_.values[i]);
    }
  }

  void check() {
    const std::vector<InputGradient> answers = wide_.node->op().grad(*wide_.node, gradients_);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].kind() != InputGradient::Kind::value || !is_floating(wide_.values[i].dtype())) continue;
      check_input(i, evaluate(answers[i].value(), given_));
    }
  }

 private:
  double cost(std::size_t input, const Tensor& value) const {
    std::vector<Tensor> values = wide_.values;
    values[input] = value;
    const std::vector<Tensor> outputs = wide_.node->op().evaluate(*wide_.node, values);
    double sum = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (weights_[i].defined()) sum += inner_product(outputs[i], weights_[i]);
    }
    return sum;
  }

  void check_input(std::size_t i, const Tensor& gradient) {
    const Tensor& x = wide_.values[i];
    if (gradient.shape() != x.shape()) {
      fail(i,
           fmt::format("it has shape {}, the input {}", to_string(gradient.shape()), to_string(x.shape())));
    }
    if (x.size() == 0) return;
    const Tensor direction = random_like(x.shape(), random_);
    const double step = 1e-6 * std::max(magnitude_of(x), 1e-3);
    const double here = cost(i, x), above = cost(i, moved(x, direction, step)),
                 below = cost(i, moved(x, direction, -step));
    const double forward = (above - here) / step, backward = (here - below) / step;
    const double far =
        (cost(i, moved(x, direction, 4 * step)) - cost(i, moved(x, direction, -4 * step))) / (8 * step);
    const double expected = (above - below) / (2 * step), got = inner_product(gradient, direction);
    const double scale = std::abs(expected) + 1e-16 * std::abs(here) / step + 1e-9;
    // A kink, a pole, or nothing but rounding.
    if (std::abs(forward - backward) > 1e-2 * scale || std::abs(far - expected) > 1e-3 * scale) return;
    if (!std::isfinite(expected) || !std::isfinite(got)) return;
    const double allowed = 1e-3 * (scale + std::abs(got)) + 100 * 1e-16 * std::abs(here) / step;
    if (std::abs(got - expected) <= allowed) return;
    fail(i, fmt::format("along a random direction it is {:.9g}, differences give {:.9g}", got, expected));
  }

  [[noreturn]] void fail(std::size_t input, const std::string& what) const {
    std::string text = fmt::format("the gradient of the op {} with respect to input {} is wrong: {}\n  in {}",
                                   original_.op().name(), input, what, node_text(original_));
    for (std::size_t i = 0; i < wide_.values.size(); ++i) {
      text += fmt::format("\n  input {}: {}", i, operand_text(original_.input(i), wide_.values[i]));
    }
    throw BadGradient(text);
  }

  const Node& original_;
  WideNode wide_;
  std::mt19937_64 random_{20161};
  std::vector<Tensor> weights_;
  std::vector<Variable> gradients_;
  std::unordered_map<Variable, Tensor> given_;
};

}  // namespace

void check_gradients(const FunctionGraph& graph, RewriteChecker& values) {
  std::set<std::string> seen;
  for (Node* node : graph.topological_order()) {
    if (bends_gradients(node->op()) || node->op().has_side_effect()) continue;
    std::string kind = node->op().label(*node);
    for (const Variable& input : node->inputs()) kind += " " + to_string(input.type());
    if (!seen.insert(kind).second) continue;
    try {
      auto wide = widen(*node, values);
      if (wide) NodeGradient(*node, std::move(*wide)).check();
    } catch (const BadGradient&) {
      throw;
    } catch (const Error&) {
      // No gradient, or an op that does not take float64 here: nothing to compare.
    }
  }
}

}  // namespace croton
