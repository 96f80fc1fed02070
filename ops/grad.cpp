#include "croton/ops/grad.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

/// One call of grad: the gradients of everything between the roots (the cost and the known variables) and
/// wrt.
class Backward {
 public:
  Backward(const Variable& cost, const std::vector<Variable>& wrt, const GradOptions& options)
      : constant_(options.consider_constant.begin(), options.consider_constant.end()) {
    std::vector<Variable> roots;
    if (cost) roots.push_back(cost);
    for (const auto& [variable, gradient] : options.known_grads) {
      roots.push_back(variable);
      known_[variable] = checked_known(variable, gradient);
    }
    order_ = topological_order(roots);
    mark_leading_to(wrt);
    if (cost && !known_.contains(cost)) gradients_[cost] = scalar_constant(1, cost.dtype());
    for (const auto& [variable, gradient] : known_) gradients_[variable] = gradient;
  }

  void run() {
    for (std::size_t i = order_.size(); i-- > 0;) visit(*order_[i]);
  }

  /// Empty where the roots do not depend on the variable.
  Variable gradient_of(const Variable& variable) const {
    const auto entry = gradients_.find(variable);
    return entry == gradients_.end() ? Variable() : entry->second;
  }

  bool reached(const Variable& variable) const {
    for (const Node* node : order_) {
      for (const Variable& input : node->inputs()) {
        if (input == variable) return true;
      }
    }
    return false;
  }

 private:
  static Variable checked_known(const Variable& variable, const Variable& gradient) {
    if (!variable || !gradient) throw TypeError("known_grads: an empty Variable");
    if (!is_floating(gradient.dtype())) {
      throw TypeError(fmt::format("known_grads: the gradient of {} is {}, which is not floating",
                                  describe(variable), describe(gradient)));
    }
    if (gradient.rank() != variable.rank()) {
      throw TypeError(fmt::format("known_grads: the gradient of {} has the rank {}: it is {}",
                                  describe(variable), gradient.rank(), describe(gradient)));
    }
    if (!compatible({gradient.dtype(), variable.type().shape}, gradient.type())) {
      throw ShapeError(fmt::format("known_grads: the gradient of {} has another shape: it is {}",
                                   describe(variable), describe(gradient)));
    }
    return is_floating(variable.dtype()) ? as_dtype(gradient, variable.dtype()) : gradient;
  }

  /// Which outputs' gradients lead on to what is asked for, so that nothing else is built.
  void mark_leading_to(const std::vector<Variable>& wrt) {
    for (const Variable& variable : wrt) {
      if (!constant_.contains(variable)) leading_.insert(variable);
    }
    for (const Node* node : order_) {
      for (std::size_t o = 0; o < node->output_count(); ++o) {
        const Variable output = node->output(o);
        if (constant_.contains(output)) continue;
        for (std::size_t i = 0; i < node->input_count(); ++i) {
          if (leading_.contains(node->input(i)) && node->op().connected(*node, i, o)) {
            leading_.insert(output);
            break;
          }
        }
      }
    }
  }

  bool leads(const Node& node) const {
    for (const Variable& input : node.inputs()) {
      if (leading_.contains(input)) return true;
    }
    return false;
  }

  void visit(const Node& node) {
    if (!leads(node)) return;
    std::vector<Variable> output_gradients(node.output_count());
    bool any_gradient = false;
    for (std::size_t o = 0; o < node.output_count(); ++o) {
      const Variable output = node.output(o);
      if (constant_.contains(output)) continue;
      output_gradients[o] = gradient_of(output);
      any_gradient = any_gradient || output_gradients[o];
    }
    if (!any_gradient) return;
    const std::vector<InputGradient> terms = node.op().grad(node, output_gradients);
    if (terms.size() != node.input_count()) {
      throw InternalError(fmt::format("the gradient of {} has {} terms for {} inputs", node.op().name(),
                                      terms.size(), node.input_count()));
    }
    for (std::size_t i = 0; i < terms.size(); ++i) take(node, i, terms[i], output_gradients);
  }

  void take(const Node& node, std::size_t i, const InputGradient& term,
            const std::vector<Variable>& output_gradients) {
    const Variable& input = node.input(i);
    if (!leading_.contains(input) || known_.contains(input)) return;
    bool connected = false;
    for (std::size_t o = 0; o < output_gradients.size(); ++o) {
      connected = connected || (output_gradients[o] && node.op().connected(node, i, o));
    }
    if (!connected || term.kind() == InputGradient::Kind::disconnected) return;
    if (term.kind() == InputGradient::Kind::undefined) {
      throw NullTypeGradError(fmt::format(
          "{} has no gradient with respect to its input {}, {}: {}{}", node.op().name(), i, describe(input),
          term.reason(), node.where().known() ? "\n  the node was made at " + to_string(node.where()) : ""));
    }
    const Variable& value = term.value();
    if (!is_floating(value.dtype()) || value.rank() != input.rank()) {
      throw InternalError(fmt::format("the gradient of {} for its input {}, {}, is {}", node.op().name(), i,
                                      describe(input), to_string(value.type())));
    }
    const Variable fitting = is_floating(input.dtype()) ? as_dtype(value, input.dtype()) : value;
    Variable& sum = gradients_[input];
    sum = sum ? sum + fitting : fitting;
  }

  std::unordered_set<Variable> constant_;
  std::unordered_map<Variable, Variable> known_;
  std::vector<Node*> order_;
  std::unordered_set<Variable> leading_;
  std::unordered_map<Variable, Variable> gradients_;
};

DType gradient_dtype(const Variable& variable) {
  return is_floating(variable.dtype()) ? variable.dtype() : float_x();
}

std::string disconnected_text(const Backward& backward, const Variable& variable) {
  const std::string_view why =
      backward.reached(variable)
          ? "it is used only where no gradient passes: in integers, comparisons, shapes, indices, "
            "disconnected_grad or consider_constant"
          : "it is no part of its graph";
  return fmt::format(
      "the cost does not depend on {} as gradients go: {}\n  leave it out, or pass .disconnected_inputs = "
      "DisconnectedInputs::ignore to get zeros",
      describe(variable), why);
}

/// The gradient keeps the extents of 1 that its variable declares, so that both broadcast alike.
Variable with_type_of(const Variable& gradient, const Variable& variable) {
  Shape shape = gradient.type().shape;
  bool differs = false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] == unknown && variable.type().shape[axis] == 1) {
      shape[axis] = 1;
      differs = true;
    }
  }
  return differs ? specify_shape(gradient, shape) : gradient;
}

void check_cost(const Variable& cost) {
  if (cost.rank() != 0) {
    throw TypeError(fmt::format("cost must be a scalar, got {}: take its sum or mean, or give known_grads",
                                describe(cost)));
  }
  if (!is_floating(cost.dtype())) {
    throw TypeError(fmt::format("cost must be floating, got {}: it does not change smoothly with anything",
                                describe(cost)));
  }
}

}  // namespace

std::vector<Variable> grad(const Cost& cost_or_none, const std::vector<Variable>& wrt,
                           const GradOptions& options, std::source_location where) {
  const LocationScope scope(where);
  const Variable& cost = cost_or_none.variable();
  if (cost) check_cost(cost);
  if (!cost && options.known_grads.empty()) throw ValueError("grad of no cost needs known_grads");
  for (const Variable& variable : wrt) {
    if (!variable) throw TypeError("grad: an empty Variable in wrt");
  }
  const std::uint64_t first_new_id = scalar_constant(0, DType::float32).node()->id();
  Backward backward(cost, wrt, options);
  backward.run();
  std::vector<Variable> result;
  for (const Variable& variable : wrt) {
    Variable gradient = backward.gradient_of(variable);
    if (!gradient) {
      const std::string text = options.disconnected_inputs == DisconnectedInputs::ignore
                                   ? std::string()
                                   : disconnected_text(backward, variable);
      if (options.disconnected_inputs == DisconnectedInputs::raise) throw DisconnectedInputError(text);
      if (options.disconnected_inputs == DisconnectedInputs::warn) send_message(Severity::warning, text);
      gradient = zeros_like(variable, gradient_dtype(variable));
    }
    gradient = with_type_of(gradient, variable);
    const bool made_here = gradient.node()->is_apply() && gradient.node()->id() > first_new_id;
    if (made_here && gradient.name().empty() && cost && !cost.name().empty() && !variable.name().empty()) {
      gradient.set_name(fmt::format("(d{}/d{})", cost.name(), variable.name()));
    }
    result.push_back(std::move(gradient));
  }
  return result;
}

Variable grad(const Cost& cost, const Variable& wrt, const GradOptions& options, std::source_location where) {
  return grad(cost, std::vector<Variable>{wrt}, options, where)[0];
}

std::vector<Variable> Lop(const std::vector<Variable>& f, const std::vector<Variable>& wrt,
                          const std::vector<Variable>& v, const GradOptions& options,
                          std::source_location where) {
  if (f.size() != v.size()) {
    throw ValueError(fmt::format("Lop takes one vector for each output: {} for {}", v.size(), f.size()));
  }
  GradOptions all_known = options;
  for (std::size_t i = 0; i < f.size(); ++i) all_known.known_grads.emplace_back(f[i], v[i]);
  return grad(none, wrt, all_known, where);
}

Variable Lop(const Variable& f, const Variable& wrt, const Variable& v, const GradOptions& options,
             std::source_location where) {
  return Lop(std::vector<Variable>{f}, std::vector<Variable>{wrt}, std::vector<Variable>{v}, options,
             where)[0];
}

Variable disconnected_grad(const Operand& x) { return apply_elementwise("disconnected_grad", {x}); }
Variable zero_grad(const Operand& x) { return apply_elementwise("zero_grad", {x}); }

Variable grad_clip(const Operand& x, double low, double high) {
  const LocationScope scope(x.where());
  if (!(low <= high)) throw ValueError(fmt::format("grad_clip to [{}, {}], which holds nothing", low, high));
  return apply_op(*find_elementwise("grad_clip"), {as_variable(x)}, Attributes{{"low", low}, {"high", high}});
}

Variable grad_scale(const Operand& x, double factor) {
  const LocationScope scope(x.where());
  return apply_op(*find_elementwise("grad_scale"), {as_variable(x)}, Attributes{{"factor", factor}});
}

}  // namespace croton
