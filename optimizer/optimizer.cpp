#include "croton/optimizer/optimizer.h"

#include <chrono>

#include "croton/graph/test_value.h"
#include "croton/optimizer/phases.h"
#include "croton/optimizer/rewriter.h"

namespace croton {

namespace {

std::vector<const Rule*> selected_rules(const RewritePhase& phase, const Query& query) {
  std::vector<const Rule*> rules;
  for (const RuleSet* set : phase.rules) {
    for (const Rule& rule : *set) {
      std::vector<std::string> tags = rule.tags();
      tags.push_back(phase.name);
      tags.insert(tags.end(), phase.tags.begin(), phase.tags.end());
      if (query.selects({rule.name(), tags, rule.is_opt_in(), phase.costly})) rules.push_back(&rule);
    }
  }
  return rules;
}

/// An observer that listens while it lives.
class Listening {
 public:
  Listening(FunctionGraph& graph, OptimizerObserver* observer) : graph_(graph), observer_(observer) {
    if (observer_ != nullptr) graph_.add_listener(observer_);
  }
  ~Listening() {
    if (observer_ != nullptr) graph_.remove_listener(observer_);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  FunctionGraph& graph_;
  OptimizerObserver* observer_;
};

void run_phases(const std::vector<RewritePhase>& phases, FunctionGraph& graph, const PassContext& context,
                OptimizerReport* report, OptimizerObserver* observer) {
  const bool verbose = config().optimizer_verbose();
  const NoTestValues no_test_values;
  const Listening listening(graph, observer);
  for (const RewritePhase& phase : phases) {
    OptimizerReport::Phase entry{phase.name, 0, 0, 0, 0, {}};
    if (phase.pass) {
      if (!phase.essential && !context.query.selects({phase.name, phase.tags, false, phase.costly})) continue;
      if (observer != nullptr) observer->on_phase_begin(graph, phase.name);
      const auto start = std::chrono::steady_clock::now();
      entry.nodes_before = graph.apply_count();
      phase.pass(graph, context);
      entry.nodes_after = graph.apply_count();
      entry.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    } else {
      const std::vector<const Rule*> rules = selected_rules(phase, context.query);
      if (rules.empty()) continue;
      if (observer != nullptr) observer->on_phase_begin(graph, phase.name);
      rewrite(graph, rules, entry, {.verbose = verbose, .on_error = config().on_opt_error()});
    }
    if (report != nullptr) report->phases.push_back(std::move(entry));
    if (observer != nullptr) observer->on_phase_end(graph, phase.name);
  }
}

}  // namespace

void optimize(FunctionGraph& graph, const Query& query, OptimizerReport* report,
              OptimizerObserver* observer) {
  const SpecializeOptions none_needed;
  run_phases(general_phases(), graph, {query, none_needed}, report, observer);
}

void specialize(FunctionGraph& graph, const Query& query, const SpecializeOptions& options,
                OptimizerReport* report, OptimizerObserver* observer) {
  run_phases(specialize_phases(), graph, {query, options}, report, observer);
}

}  // namespace croton
