#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// What the optimizer did, for profiles.
struct CROTON_API OptimizerReport {
  struct Rule {
    std::string_view name;
    std::uint64_t applications = 0;
    double seconds = 0;  // that putting its replacements in place took
  };
  struct Phase {
    std::string_view name;
    double seconds = 0;
    std::size_t nodes_before = 0;
    std::size_t nodes_after = 0;
    std::uint64_t visits = 0;  // how often a node was looked at
    std::vector<Rule> rules;   // those that were tried
  };
  std::vector<Phase> phases;

  /// Adds what another run did, phase by phase.
  void add(const OptimizerReport& more);
  /// How often the rule of that name applied, in all phases.
  std::uint64_t applications(std::string_view rule) const;
  /// A table: phases with their times and sizes, under each the rules that applied.
  std::string text() const;
};

}  // namespace croton
