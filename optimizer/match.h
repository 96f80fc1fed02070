#pragma once

#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/optimizer/pattern.h"

namespace croton {

/// A node that a rule looks at, and what the wildcards of the rule's pattern stand for.
class Match {
 public:
  Match(const FunctionGraph& graph, Node& node) : graph_(graph), node_(node) {}

  const FunctionGraph& graph() const { return graph_; }
  Node& node() const { return node_; }
  const Variable& input(std::size_t i) const { return node_.input(i); }
  Variable output(std::size_t i = 0) const { return node_.output(i); }

  /// What a wildcard stands for.
  const Variable& operator[](const pattern::Pattern& wildcard) const {
    return variables_[static_cast<std::size_t>(wildcard->slot)];
  }
  /// The number that a constant wildcard stands for.
  double value(const pattern::Pattern& constant) const;
  const AttributeValue& attribute(pattern::AttributeWildcard wildcard) const {
    return *attributes_[static_cast<std::size_t>(wildcard.slot)];
  }
  /// The nodes that the pattern matched below the root.
  std::span<Node* const> inner() const { return inner_; }
  /// No client but the one through which the pattern came.
  bool sole_use(const Variable& v) const { return graph_.client_count(v) == 1; }

  /// Tries to match; keeps the bindings on success. A variadic root may have more operands than the pattern:
  /// they are left over.
  bool matches(const pattern::Pattern& wanted);
  /// The pattern with what the wildcards stand for; operands left over are joined to it with the root's op.
  /// Nothing where that has another dtype or rank than the node.
  Variable build(const pattern::Pattern& wanted) const;

  /// A rule may replace variables beside its node's outputs.
  void also_replace(const Variable& old, const Variable& replacement) {
    more_.emplace_back(old, replacement);
  }
  std::vector<std::pair<Variable, Variable>>& more() { return more_; }

  /// What a rule answers that looks itself and finds a condition not met: nothing, and the reason (a literal)
  /// for whoever asks why.
  struct Refusal {};
  Refusal refuse(const char* reason) const {
    refusal_ = reason;
    return {};
  }
  /// The last reason, or null.
  const char* refusal() const { return refusal_; }

 private:
  struct Goal;
  bool solve(const Goal* goals);
  bool solve_apply(const pattern::PatternNode& wanted, Node& node, const Goal* next, bool root);
  struct Operands;
  bool solve_operands(const Operands& state, std::size_t child);
  bool bind_attributes(const pattern::PatternNode& wanted, const Node& node,
                       std::vector<std::pair<std::size_t, const AttributeValue*>>& undo);
  Variable build_node(const pattern::PatternNode& wanted, DType dtype, int rank) const;

  const FunctionGraph& graph_;
  Node& node_;
  std::array<Variable, pattern::max_slots> variables_;
  std::array<const AttributeValue*, pattern::max_slots> attributes_{};
  std::vector<Node*> inner_;
  std::vector<Variable> rest_;
  std::size_t rest_position_ = 0;  // the first operand of the root that the pattern took
  std::vector<std::pair<Variable, Variable>> more_;
  mutable const char* refusal_ = nullptr;
};

/// The number that all elements of a constant are equal to; nothing for other variables, empty or large
/// tensors. int64 beyond 2^53 are not told apart.
std::optional<double> uniform_value(const Variable& v);
/// A constant of that dtype, all extents 1.
Variable uniform_constant(double value, DType dtype, int rank);
/// `v`, broadcast with second() to the static extents of 1 that `like` has; nothing where dtype or rank
/// differ or no variable of `sources` has those extents.
Variable fit(const Variable& v, const TensorType& like, std::span<const Variable> sources);

}  // namespace croton
