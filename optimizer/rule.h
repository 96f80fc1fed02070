#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "croton/optimizer/match.h"

namespace croton {

/// What a rule keeps of the values. Also a tag of the rule, by which it can be excluded.
enum class Exactness : std::uint8_t {
  exact,           // all values, NaN and infinities too; zeros may change sign
  assumes_finite,  // where no operand and no intermediate result is NaN or infinite
  reassociates,    // up to rounding: the order of sums and products changes
};
std::string_view to_string(Exactness exactness);

/// What takes the place of a node's outputs, one by one; an empty Variable leaves that output as it is. None
/// at all: the rule does not apply.
class Replacement {
 public:
  Replacement() = default;
  Replacement(Match::Refusal) {}
  Replacement(const Variable& first) {
    if (first) outputs_.push_back(first);
  }
  Replacement(std::vector<Variable> outputs) : outputs_(std::move(outputs)) {}
  bool empty() const { return outputs_.empty(); }
  const std::vector<Variable>& outputs() const { return outputs_; }

 private:
  std::vector<Variable> outputs_;
};

/// The nodes that a rule without a pattern looks at.
class Roots {
 public:
  Roots(const char* op) : Roots({op}) {}
  Roots(std::initializer_list<const char*> ops);
  Roots(std::function<bool(const Op&)> holds) : holds_(std::move(holds)) {}
  bool contains(const Op& op) const { return holds_(op); }

 private:
  std::function<bool(const Op&)> holds_;
};
/// Every row of the elementwise table; every reduction; every op.
const Roots& elementwise_roots();
const Roots& reduction_roots();
const Roots& all_roots();

/// A rewrite: where it applies, what it puts there, what it is called.
class Rule {
 public:
  using Build = std::function<Replacement(Match&)>;
  /// What must hold beside the pattern, and how to say so.
  struct Condition {
    std::function<bool(const Match&)> holds;
    std::string text;
  };

  Rule(std::string name, std::optional<pattern::Pattern> left, std::optional<pattern::Pattern> right,
       Roots roots, Build build);

  /// Only where the condition holds; several must all hold.
  Rule when(Condition condition) &&;
  /// Only where nobody else uses what the pattern matched below its root: the rule would compute it twice.
  Rule consuming() &&;
  Rule tagged(std::string_view tag) &&;
  Rule assumes_finite() && { return std::move(*this).of(Exactness::assumes_finite); }
  Rule reassociates() && { return std::move(*this).of(Exactness::reassociates); }
  /// Only when a query includes it by name or tag.
  Rule opt_in() &&;
  /// Where the wildcards' values are drawn from when the rule is tested.
  Rule on(double low, double high) &&;

  const std::string& name() const { return name_; }
  const std::vector<std::string>& tags() const { return tags_; }
  Exactness exactness() const { return exactness_; }
  bool is_opt_in() const { return opt_in_; }
  /// The pattern looked for; nothing for a rule that looks itself.
  const std::optional<pattern::Pattern>& left() const { return left_; }
  double low() const { return low_; }
  double high() const { return high_; }
  bool may_apply_to(const Op& op) const { return roots_.contains(op); }
  /// False where the node's operands alone show that the pattern does not match: most nodes, at little cost.
  bool may_match(const Node& node) const;
  int depth() const { return left_ ? (*left_)->depth : 2; }

  /// Tries the rule on the node of a fresh match.
  Replacement apply(Match& match) const;
  /// The first condition that the node does not meet, in words; nothing where the rule applies.
  std::optional<std::string> why_not(const FunctionGraph& graph, Node& node) const;

 private:
  Rule of(Exactness exactness) &&;

  std::string name_;
  std::vector<std::string> tags_{"exact"};
  Exactness exactness_ = Exactness::exact;
  std::optional<pattern::Pattern> left_;
  std::optional<pattern::Pattern> right_;
  Roots roots_;
  Build build_;
  std::vector<Condition> conditions_;
  bool consuming_ = false;
  bool opt_in_ = false;
  double low_ = -3;
  double high_ = 3;
};

using RuleSet = std::vector<Rule>;

/// `rule("log_of_exp", log(exp(x)), x)`: the left side becomes the right one. Where the right side has fewer
/// broadcast axes it is spread to the shape of the left one.
Rule rule(std::string name, const pattern::Pattern& left, const pattern::Pattern& right);
template <std::integral T>
Rule rule(std::string name, const pattern::Pattern& left, T literal) {
  return rule(std::move(name), left, pattern::Pattern(literal));
}
/// The left side becomes what `build` answers.
Rule rule(std::string name, const pattern::Pattern& left, Rule::Build build);
/// Nodes of these ops become what `build` answers.
Rule rule(std::string name, const Roots& roots, Rule::Build build);

// Conditions.

/// The wildcard's variable is floating.
Rule::Condition floating(const pattern::Pattern& wildcard);
Rule::Condition discrete(const pattern::Pattern& wildcard);
/// The constant is a number other than 0.
Rule::Condition nonzero(const pattern::Pattern& constant);

}  // namespace croton
