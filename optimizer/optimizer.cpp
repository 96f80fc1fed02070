#include "croton/optimizer/optimizer.h"

#include <fmt/format.h>

#include <chrono>

#include "croton/graph/check_error.h"
#include "croton/graph/message.h"
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

/// What a pass replaced before it failed stays: each replacement is valid by itself.
void run_pass(const RewritePhase& phase, FunctionGraph& graph, const PassContext& context) {
  // What must run has errors of the user's, which are for the user.
  const OnOptError on_error = phase.essential ? OnOptError::raise : config().on_opt_error();
  try {
    phase.pass(graph, context);
  } catch (const DebugModeError&) {
    throw;  // an observer's
  } catch (const Error& e) {
    if (on_error == OnOptError::raise) throw;
    if (on_error == OnOptError::ignore) return;
    warn_once(
        fmt::format("the pass {} failed and was left: {}\n  this is a bug in the pass "
                    "(optimizer_excluding={} leaves it out, on_opt_error=raise stops here)",
                    phase.name, e.what(), phase.name));
  }
}

}  // namespace

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
      run_pass(phase, graph, context);
      entry.nodes_after = graph.apply_count();
      entry.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    } else {
      const std::vector<const Rule*> rules = selected_rules(phase, context.query);
      if (rules.empty()) continue;
      if (observer != nullptr) observer->on_phase_begin(graph, phase.name);
      rewrite(graph, rules, entry,
              {.verbose = verbose,
               .on_error = config().on_opt_error(),
               .applications_per_node = static_cast<std::size_t>(config().max_use_ratio())});
    }
    if (report != nullptr) report->phases.push_back(std::move(entry));
    if (observer != nullptr) observer->on_phase_end(graph, phase.name);
  }
}

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
