#include "croton/runtime/debug_rewrites.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <unordered_set>

#include "croton/graph/check_error.h"
#include "croton/graph/debugprint.h"
#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/ops/evaluate.h"
#include "croton/optimizer/phases.h"
#include "croton/runtime/compare_values.h"
#include "croton/runtime/node_text.h"

namespace croton {

namespace {

/// How far up from a node its surroundings reach: no pattern is deeper.
constexpr std::size_t most_met = 64;

Exactness exactness_of(std::string_view name) {
  static const std::map<std::string_view, Exactness> rules = [] {
    std::map<std::string_view, Exactness> all;
    for (const std::vector<RewritePhase>* phases : {&general_phases(), &specialize_phases()}) {
      for (const RewritePhase& phase : *phases) {
        for (const RuleSet* set : phase.rules) {
          for (const Rule& rule : *set) {
            // What stabilizes is finite where the other side overflows: that is what it is for.
            const bool stabilizes = std::ranges::find(rule.tags(), "stabilize") != rule.tags().end();
            all.emplace(rule.name(), stabilizes && rule.exactness() == Exactness::exact
                                         ? Exactness::assumes_finite
                                         : rule.exactness());
          }
        }
      }
    }
    return all;
  }();
  const auto entry = rules.find(name);
  return entry == rules.end() ? Exactness::reassociates : entry->second;  // a pass
}

std::string label_of(const Variable& v) {
  return v.node()->is_apply() ? v.node()->op().label(*v.node()) : describe(v);
}

}  // namespace

void RewriteTrace::on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) {
  for (const auto& [old, made] : pairs) {
    lines_.push_back(fmt::format("{}: {} -> {} by {}", phase_, label_of(old), label_of(made), rule));
  }
}

void RewriteTrace::on_set_attributes(Node& node, std::string_view rule) {
  lines_.push_back(fmt::format("{}: {} marked by {}", phase_, node.op().label(node), rule));
}

RewriteChecker::RewriteChecker(Values leaves) : leaves_(std::move(leaves)), values_(leaves_) {}

void RewriteChecker::on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) {
  RewriteTrace::on_replace(pairs, rule);
  for (const auto& [old, made] : pairs) {
    if (!(old == made)) compare(old, made, rule);
  }
}

const Tensor* RewriteChecker::value_of(const Variable& variable) {
  std::vector<Node*> stack{variable.node()};
  while (!stack.empty()) {
    Node& node = *stack.back();
    if (values_.contains(node.output()) || failures_.contains(node.output())) {
      stack.pop_back();
      continue;
    }
    if (node.is_leaf()) {
      stack.pop_back();
      if (node.kind() == Node::Kind::constant) {
        values_.emplace(node.output(), node.value().to_host());
      } else {
        failures_.emplace(node.output(), "it has no value");
      }
      continue;
    }
    bool is_ready = true, fails = false;
    for (const Variable& input : node.inputs()) {
      if (failures_.contains(input.node()->output())) {
        fails = true;
      } else if (!values_.contains(input)) {
        stack.push_back(input.node());
        is_ready = false;
      }
    }
    if (fails) {
      failures_.emplace(node.output(), "an operand of it has no value");
      continue;
    }
    if (!is_ready) continue;
    stack.pop_back();
    compute(node);
  }
  const auto entry = values_.find(variable);
  return entry == values_.end() ? nullptr : &entry->second;
}

void RewriteChecker::compute(Node& node) {
  std::vector<Tensor> inputs;
  for (const Variable& input : node.inputs()) inputs.push_back(values_.at(input));
  ReferenceValue value;
  try {
    value = reference_value(node, inputs);
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    failures_.emplace(node.output(), error.what());
    return;
  }
  Surroundings& met = met_[&node];
  met.magnitude = value.magnitude;
  for (std::size_t i = 0; i < value.outputs.size(); ++i) {
    const Tensor& output = value.outputs[i];
    const TensorType is{output.dtype(), output.shape()};
    if (!compatible(is, node.type(i))) {
      throw InvalidValueError(fmt::format("the op {} promises {} for output {} and gives {}\n  in {}",
                                          node.op().name(), to_string(node.type(i)), i, to_string(is),
                                          node_text(node)));
    }
    met.is_finite = met.is_finite && is_all_finite(output);
    values_.emplace(node.output(i), output);
  }
}

RewriteChecker::Surroundings RewriteChecker::surroundings(const Variable& variable) const {
  Surroundings all;
  std::deque<const Node*> waiting{variable.node()};
  std::unordered_set<const Node*> seen;
  while (!waiting.empty() && seen.size() < most_met) {
    const Node* node = waiting.front();
    waiting.pop_front();
    if (!seen.insert(node).second) continue;
    const auto met = met_.find(node);
    if (met != met_.end()) {
      all.magnitude = std::max(all.magnitude, met->second.magnitude);
      all.is_finite = all.is_finite && met->second.is_finite;
    }
    if (!node->is_apply()) continue;
    for (const Variable& input : node->inputs()) {
      waiting.push_back(input.node());
      const auto value = values_.find(input);
      if (value != values_.end()) all.is_finite = all.is_finite && is_all_finite(value->second);
    }
  }
  return all;
}

void RewriteChecker::compare(const Variable& old, const Variable& made, std::string_view rule) {
  const Tensor* expected = value_of(old);
  if (expected == nullptr) return;  // a call ends in this error, with and without the rewrite
  const Tensor* got = value_of(made);
  if (got == nullptr) {
    throw BadOptimization(report(
        old, made, rule, "the replacement cannot be computed: " + failures_.at(made.node()->output())));
  }
  const Surroundings around_old = surroundings(old), around_made = surroundings(made);
  Tolerance tolerance = tolerance_of(old.dtype());
  tolerance.magnitude = std::max(around_old.magnitude, around_made.magnitude);
  tolerance.only_finite = exactness_of(rule) != Exactness::exact;
  const bool met_infinity = !around_old.is_finite || !around_made.is_finite;
  std::vector<bool> wrong;
  const auto difference = compare_values(*expected, *got, tolerance, &wrong);
  if (!difference) {
    values_.insert_or_assign(made, *expected);
    return;
  }
  if (tolerance.only_finite && met_infinity && difference->types.empty() && !std::isfinite(difference->got))
    return;
  // Perhaps it only rounds better: what is different in float64, too, is wrong.
  if (difference->types.empty()) {
    const auto precise = evaluate_as_float64({old, made}, leaves_);
    if (precise) {
      Tolerance fine{.relative = 1e-6,
                     .absolute = 1e-9,
                     .magnitude = tolerance.magnitude,
                     .only_finite = tolerance.only_finite};
      if (!compare_values((*precise)[0], (*precise)[1], fine, &wrong)) return;
    }
  }
  throw BadOptimization(report(old, made, rule, difference->text()));
}

std::string RewriteChecker::report(const Variable& old, const Variable& made, std::string_view rule,
                                   const std::string& what) const {
  std::string text = fmt::format("the rewrite {} (phase {}) changes a value: {}\n  it replaces {}\n  by {}",
                                 rule, phase_, what, node_text(*old.node()),
                                 made.node()->is_apply() ? node_text(*made.node()) : describe(made));
  for (std::size_t i = 0; i < old.node()->input_count(); ++i) {
    const auto value = values_.find(old.node()->input(i));
    if (value == values_.end()) continue;
    text += fmt::format("\n  input {}: {}", i, operand_text(old.node()->input(i), value->second));
  }
  const DebugprintOptions options{.depth = 5, .print_type = true};
  text += "\n  before:\n" + debugprint_text({old}, options) + "  after:\n" + debugprint_text({made}, options);
  text += fmt::format("  (optimizer_excluding={} leaves the rewrite out)", rule);
  return text;
}

std::optional<std::vector<Tensor>> evaluate_as_float64(const std::vector<Variable>& variables,
                                                       const RewriteChecker::Values& leaves) {
  const auto widened = [](const Tensor& value) {
    return is_floating(value.dtype()) ? value.to_host().astype(DType::float64) : value.to_host();
  };
  std::unordered_map<Variable, Variable> wide;
  std::unordered_map<Variable, Tensor> values;
  const auto leaf = [&](const Variable& v) {
    if (wide.contains(v)) return;
    if (v.is_constant()) {
      wide.emplace(v, constant(widened(v.constant_value())));
      return;
    }
    const auto entry = leaves.find(v);
    if (entry == leaves.end()) return;
    const Tensor value = widened(entry->second);
    const Variable input(Node::make_input({value.dtype(), v.type().shape, v.type().device}, v.name(), {}));
    wide.emplace(v, input);
    values.emplace(input, value);
  };
  try {
    for (Node* node : topological_order(variables)) {
      std::vector<Variable> inputs;
      for (const Variable& input : node->inputs()) {
        if (input.node()->is_leaf()) leaf(input);
        const auto entry = wide.find(input);
        if (entry == wide.end()) return std::nullopt;
        inputs.push_back(entry->second);
      }
      const Ref<Node> made = make_node(node->op(), std::move(inputs), node->attributes(), node->where());
      for (std::size_t i = 0; i < made->output_count(); ++i) wide.emplace(node->output(i), made->output(i));
    }
    std::vector<Variable> wanted;
    for (const Variable& v : variables) {
      if (v.node()->is_leaf()) leaf(v);
      const auto entry = wide.find(v);
      if (entry == wide.end()) return std::nullopt;
      wanted.push_back(entry->second);
    }
    std::vector<Tensor> results = evaluate(wanted, values);
    return results;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace croton
