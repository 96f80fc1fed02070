#include "croton/optimizer/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace croton {

std::uint64_t OptimizerReport::applications(std::string_view rule) const {
  std::uint64_t count = 0;
  for (const Phase& phase : phases) {
    for (const Rule& entry : phase.rules) {
      if (entry.name == rule) count += entry.applications;
    }
  }
  return count;
}

void OptimizerReport::add(const OptimizerReport& more) {
  for (const Phase& phase : more.phases) {
    const auto same = std::ranges::find(phases, phase.name, &Phase::name);
    if (same == phases.end()) {
      phases.push_back(phase);
      continue;
    }
    same->seconds += phase.seconds;
    same->nodes_before += phase.nodes_before;
    same->nodes_after += phase.nodes_after;
    same->visits += phase.visits;
    for (const Rule& rule : phase.rules) {
      const auto entry = std::ranges::find(same->rules, rule.name, &Rule::name);
      if (entry == same->rules.end()) {
        same->rules.push_back(rule);
      } else {
        entry->applications += rule.applications;
        entry->seconds += rule.seconds;
      }
    }
  }
}

std::string OptimizerReport::text() const {
  std::string text = fmt::format("{:<28}{:>10}{:>10}{:>10}\n", "rewriting", "ms", "nodes", "applied");
  for (const Phase& phase : phases) {
    text += fmt::format("{:<28}{:>10.3f}{:>10}\n", phase.name, phase.seconds * 1e3,
                        fmt::format("{}-{}", phase.nodes_before, phase.nodes_after));
    std::vector<Rule> rules = phase.rules;
    std::erase_if(rules, [](const Rule& rule) { return rule.applications == 0; });
    std::ranges::stable_sort(rules, std::greater(), &Rule::seconds);
    for (const Rule& rule : rules) {
      text += fmt::format("  {:<26}{:>10.3f}{:>10}{:>10}\n", rule.name, rule.seconds * 1e3, "",
                          rule.applications);
    }
  }
  return text;
}

}  // namespace croton
