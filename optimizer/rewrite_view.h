#pragma once

#include <string>
#include <utility>
#include <vector>

#include "croton/graph/function_graph.h"

namespace croton {

/// The two sides of a rewrite, cut where they meet.
struct RewriteView {
  std::string before, after;
  std::vector<std::string> definitions;
  std::vector<const Node*> replaced;  // the nodes spelled out on the left side, the root first
};

/// `pairs`: what a rule is about to put in the place of what. Looks at a bounded number of nodes.
RewriteView view_rewrite(std::span<const std::pair<Variable, Variable>> pairs);

/// One node as mathematics over its operands; an unnamed operand that is computed is "…".
std::string spell_node(const Variable& variable);

}  // namespace croton
