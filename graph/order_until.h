#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "croton/graph/node.h"

namespace croton {

/// The nodes that outputs need, each after its inputs, without those behind variables for which `is_given` is
/// true: they may not be needed at all.
template <class IsGiven>
std::vector<Node*> order_until(std::span<const Variable> outputs, IsGiven&& is_given) {
  std::vector<Node*> order;
  std::unordered_map<Node*, bool> is_listed;
  std::vector<Node*> stack;
  const auto enter = [&](const Variable& v) {
    if (v.node()->is_apply() && !is_given(v) && !is_listed.contains(v.node())) stack.push_back(v.node());
  };
  for (const Variable& output : outputs) {
    enter(output);
    while (!stack.empty()) {
      Node* node = stack.back();
      const auto [entry, first] = is_listed.try_emplace(node, false);
      if (first) {
        for (const Variable& input : node->inputs()) enter(input);
        continue;
      }
      stack.pop_back();
      if (entry->second) continue;
      entry->second = true;
      order.push_back(node);
    }
  }
  return order;
}

}  // namespace croton
