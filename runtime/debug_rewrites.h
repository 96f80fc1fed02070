#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "croton/optimizer/optimizer.h"

namespace croton {

/// Lists what the optimizer does, a line a change.
class RewriteTrace : public OptimizerObserver {
 public:
  void on_phase_begin(const FunctionGraph&, std::string_view phase) override { phase_ = phase; }
  void on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) override;
  void on_set_attributes(Node& node, std::string_view rule) override;
  const std::vector<std::string>& lines() const { return lines_; }

 protected:
  std::string phase_;

 private:
  std::vector<std::string> lines_;
};

/// Compares, while the optimizer works on a graph, what every rewrite puts in place with what was there: on
/// the values of a call, by the reference evaluator. A value is computed once; a rewrite that is right keeps
/// it. Throws BadOptimization, which names the rewrite, and InvalidValueError for an op whose value is not of
/// its type.
class RewriteChecker final : public RewriteTrace {
 public:
  using Values = std::unordered_map<Variable, Tensor>;
  /// `leaves`: the inputs and shared variables of the graph.
  explicit RewriteChecker(Values leaves);
  void on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) override;

  /// Null where the reference evaluator throws.
  const Tensor* value_of(const Variable& variable);
  const Values& leaves() const { return leaves_; }

 private:
  struct Surroundings {  // of a variable: what was met when it was computed
    double magnitude = 0;
    bool is_finite = true;
  };
  void compute(Node& node);
  Surroundings surroundings(const Variable& variable) const;
  void compare(const Variable& old, const Variable& made, std::string_view rule);
  std::string report(const Variable& old, const Variable& made, std::string_view rule,
                     const std::string& what) const;

  Values leaves_;
  Values values_;
  std::unordered_map<const Node*, Surroundings> met_;
  std::unordered_map<Variable, std::string> failures_;  // by first output: what the reference evaluator threw
};

/// The values of variables computed with every floating leaf and constant as float64, from the leaves on.
/// Nothing where an op does not take float64 in that place.
std::optional<std::vector<Tensor>> evaluate_as_float64(const std::vector<Variable>& variables,
                                                       const RewriteChecker::Values& leaves);

}  // namespace croton
