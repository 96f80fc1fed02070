#include <catch2/catch.hpp>
#include <limits>
#include <map>
#include <set>

#include "croton/graph/error.h"
#include "croton/ops/evaluate.h"
#include "croton/optimizer/expressions.h"
#include "croton/optimizer/phases.h"
#include "croton/optimizer/rewriter.h"
#include "random_cases.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;
using pattern::Pattern;
using pattern::PatternNode;

namespace {

/// An expression that a pattern matches: its wildcards become inputs of one type.
class Instance {
 public:
  Instance(TensorType type, std::mt19937_64& random) : type_(std::move(type)), random_(random) {}

  Variable make(const Pattern& wanted, int depth = 0) {
    switch (wanted->kind) {
      case PatternNode::Kind::variable: {
        auto [entry, first] = variables_.try_emplace(wanted->slot);
        if (first) {
          entry->second = Variable(Node::make_input(type_, "v" + std::to_string(wanted->slot), {}));
          inputs.push_back(entry->second);
        }
        return entry->second;
      }
      case PatternNode::Kind::constant: {
        auto [entry, first] = variables_.try_emplace(wanted->slot);
        static const std::vector<double> numbers{2, 3, 0.5, 4, -2, 7};
        if (first)
          entry->second = uniform_constant(numbers[random_() % numbers.size()], type_.dtype, type_.rank());
        return entry->second;
      }
      case PatternNode::Kind::literal:
        return uniform_constant(wanted->literal, type_.dtype, type_.rank());
      case PatternNode::Kind::apply:
        break;
    }
    std::vector<Variable> operands;
    for (const Pattern& child : wanted->children) operands.push_back(make(child, depth + 1));
    // Commutative operands in either order.
    if (wanted->commutative && operands.size() == 2 && random_() % 2 == 0)
      std::swap(operands[0], operands[1]);
    std::vector<Attributes::Entry> entries;
    for (const auto& [name, value] : wanted->attributes) {
      if (const auto* given = std::get_if<AttributeValue>(&value)) {
        entries.emplace_back(name, *given);
      } else if (name == "axes") {
        entries.emplace_back(name, std::vector<std::int64_t>{1});
      } else {
        entries.emplace_back(name, std::int64_t{1});
      }
    }
    return apply_op(*wanted->op, std::move(operands),
                    entries.empty() ? Attributes() : Attributes(std::move(entries)));
  }

  std::vector<Variable> inputs;

 private:
  TensorType type_;
  std::mt19937_64& random_;
  std::map<int, Variable> variables_;
};

/// Applies only this rule to an instance of its pattern. Answers whether it applied.
bool sample(const Rule& rule, DType dtype, std::mt19937_64& random) {
  Instance instance({dtype, {4, 5}}, random);
  Variable before;
  try {
    before = instance.make(*rule.left());
  } catch (const TypeError&) {
    return false;  // not for this dtype
  }
  const std::vector<Variable> outputs{before};
  FunctionGraph graph(instance.inputs, outputs);
  OptimizerReport::Phase report{"soundness", 0, 0, 0, 0, {}};
  rewrite(graph, {&rule}, report);
  graph.check();
  if (report.rules[0].applications == 0) return false;
  auto values = random_values(instance.inputs, rule.low(), rule.high(), random);
  const bool stabilizes = std::ranges::find(rule.tags(), "stabilize") != rule.tags().end();
  if (rule.exactness() == Exactness::exact && !stabilizes && is_floating(dtype)) {
    // An exact rule keeps what is no number too.
    for (auto& [input, value] : values) {
      value.at<double>({0, 0}) = std::numeric_limits<double>::quiet_NaN();
      value.at<double>({1, 1}) = std::numeric_limits<double>::infinity();
      value.at<double>({2, 2}) = -std::numeric_limits<double>::infinity();
      value.at<double>({3, 3}) = -0.0;
    }
  }
  const Tensor wanted = evaluate(before, values);
  const Tensor got = evaluate(graph.outputs()[0], values_for(graph, instance.inputs, values));
  INFO("before\n" << wanted << "\nafter\n" << got);
  CHECK(wanted.dtype() == got.dtype());
  CHECK(allclose(got, wanted, 1e-9, 1e-10, true));
  return true;
}

}  // namespace

TEST_CASE("every rule with a pattern keeps the values of what it matches", "[optimizer][rules]") {
  std::mt19937_64 random(1);
  std::set<std::string> seen;
  for (const std::vector<RewritePhase>* phases : {&general_phases(), &specialize_phases()}) {
    for (const RewritePhase& phase : *phases) {
      for (const RuleSet* set : phase.rules) {
        for (const Rule& rule : *set) {
          if (!rule.left() || !seen.insert(rule.name()).second) continue;
          INFO("the rule " << rule.name());
          bool applied = false;
          for (int repeat = 0; repeat < random_cases(20); ++repeat) {
            for (DType dtype : {DType::float64, DType::int64, DType::bool_}) {
              applied = sample(rule, dtype, random) || applied;
            }
          }
          CHECK(applied);
        }
      }
    }
  }
}

TEST_CASE("names of rules are unique", "[optimizer][rules]") {
  std::map<std::string, const Rule*> rules;
  for (const std::vector<RewritePhase>* phases : {&general_phases(), &specialize_phases()}) {
    for (const RewritePhase& phase : *phases) {
      for (const RuleSet* set : phase.rules) {
        for (const Rule& rule : *set) {
          const auto [entry, first] = rules.emplace(rule.name(), &rule);
          INFO(rule.name());
          CHECK(entry->second == &rule);
        }
      }
    }
  }
}
