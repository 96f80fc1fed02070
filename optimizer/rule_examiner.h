#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "croton/optimizer/phases.h"
#include "croton/optimizer/rewrite_history.h"

namespace croton {

/// Asks rules, at the end of each phase that has them, what keeps them from applying to the nodes that are
/// left. Give it to optimize() and specialize() in the place of its history.
class CROTON_API RuleExaminer final : public OptimizerObserver {
 public:
  /// A rule where one may ask for it: in a phase.
  struct Answer {
    std::string rule;
    std::string phase;
    /// The first condition that fails; nothing where the rule applies or has applied.
    std::optional<std::string> reason;
    bool has_applied = false;
    /// The rule looks at nodes of this op.
    bool looks_here = false;
  };

  /// `name`: of a rule, a phase or an implementation of convolutions, or a tag. FlagError, with the nearest
  /// names, where there is none.
  RuleExaminer(std::string name, const Query& query);

  RewriteHistory& history() { return history_; }
  /// What is to say about a node of the optimized graph.
  std::vector<Answer> answers(FunctionGraph& graph, const Node& node) const;

  void on_phase_begin(const FunctionGraph& graph, std::string_view phase) override;
  void on_phase_end(const FunctionGraph& graph, std::string_view phase) override;
  void on_import(Node& node) override { history_.on_import(node); }
  void on_prune(Node& node) override { history_.on_prune(node); }
  void on_change_input(Node& node, std::size_t slot) override { history_.on_change_input(node, slot); }
  void on_replace(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule) override {
    history_.on_replace(pairs, rule);
  }
  void on_replaced() override { history_.on_replaced(); }
  void on_set_attributes(Node& node, std::string_view rule) override {
    history_.on_set_attributes(node, rule);
  }

 private:
  struct Finding {
    bool looks_here = false;
    std::optional<std::string> reason;
  };
  struct Question {  // one rule in one phase
    const Rule* rule = nullptr;
    std::string phase;
    std::size_t position = 0;  // of the phase, where it ran
    bool has_run = false;
    std::optional<std::string> left_out;        // why the query does not have it
    std::map<std::uint64_t, Finding> findings;  // by node
  };
  bool concerns(const Rule& rule, const RewritePhase& phase) const;

  std::string name_;
  const Query& query_;
  RewriteHistory history_;
  std::vector<Question> questions_;
  bool is_pass_ = false;
};

}  // namespace croton
