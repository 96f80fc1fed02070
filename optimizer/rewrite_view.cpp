#include "croton/optimizer/rewrite_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "croton/graph/op.h"
#include "croton/ops/pp.h"

namespace croton {

namespace {

// A rule looks at the neighbourhood of its root: what lies further away is not shown.
constexpr std::size_t most_visited = 200;
constexpr std::size_t most_spelled = 40;
constexpr std::size_t most_pairs = 3;

using Variables = std::unordered_set<Variable>;

/// Where the new side meets what the graph already has: computed variables of the graph.
void find_meeting(const Variable& replacement, Variables& meeting) {
  std::vector<Variable> stack{replacement};
  std::unordered_set<const Node*> seen;
  while (!stack.empty() && seen.size() < most_visited) {
    const Variable v = std::move(stack.back());
    stack.pop_back();
    const Node& node = *v.node();
    if (node.is_leaf()) {
      if (node.kind() != Node::Kind::constant) meeting.insert(v);
      continue;
    }
    if (node.graph() != nullptr) {
      meeting.insert(v);
      continue;
    }
    if (!seen.insert(&node).second) continue;
    for (const Variable& input : node.inputs()) stack.push_back(input);
  }
}

/// The nodes of the old side from its root to where the sides meet. What leads nowhere near the meeting is
/// left as one operand.
std::unordered_set<const Node*> spelled_nodes(const Variable& old, const Variables& meeting,
                                              std::vector<const Node*>& order) {
  std::unordered_set<const Node*> spelled;
  if (old.node()->is_leaf()) return spelled;
  std::vector<const Node*> found{old.node()};  // breadth first, each once
  std::unordered_set<const Node*> seen{old.node()};
  for (std::size_t i = 0; i < found.size() && found.size() < most_visited; ++i) {
    for (const Variable& input : found[i]->inputs()) {
      if (input.node()->is_leaf() || meeting.contains(input)) continue;
      if (seen.insert(input.node()).second) found.push_back(input.node());
    }
  }
  // Leading to the meeting: from the far end back.
  std::unordered_set<const Node*> leading;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = found.size(); i-- > 0;) {
      if (leading.contains(found[i])) continue;
      const bool leads = std::ranges::any_of(found[i]->inputs(), [&](const Variable& input) {
        return meeting.contains(input) || leading.contains(input.node());
      });
      if (leads) changed = leading.insert(found[i]).second || changed;
    }
  }
  for (const Node* node : found) {
    if (spelled.size() == most_spelled) break;
    if (node != old.node() && !leading.contains(node)) continue;
    spelled.insert(node);
    order.push_back(node);
  }
  return spelled;
}

Variable stand_in(const Variable& v, std::string name) {
  return Variable(Node::make_input(v.type(), std::move(name), {}));
}

class Cutter {
 public:
  /// What stands for a variable at the cut: its name, else a number.
  const Variable& cut(const Variable& v) {
    const auto [entry, first] = cuts_.try_emplace(v);
    if (first) {
      std::string name = v.name();
      if (name.empty()) {
        name = fmt::format("#{}", definitions.size() + 1);
        definitions.push_back(name + " = " + spell_node(v));
      }
      entry->second = stand_in(v, std::move(name));
    }
    return entry->second;
  }

  /// The variable as mathematics; `inside`: the nodes that are spelled out.
  template <class Inside>
  std::string spell(const Variable& v, const Inside& inside) {
    if (v.node()->is_leaf()) return pp(v);
    if (!inside(v)) return pp(cut(v));
    std::unordered_map<Variable, Variable> replacements;
    std::vector<const Node*> stack{v.node()};
    std::unordered_set<const Node*> seen{v.node()};
    while (!stack.empty()) {
      const Node& node = *stack.back();
      stack.pop_back();
      for (const Variable& input : node.inputs()) {
        if (input.node()->is_leaf()) continue;
        if (!inside(input)) {
          replacements.emplace(input, cut(input));
        } else if (seen.insert(input.node()).second) {
          stack.push_back(input.node());
        }
      }
    }
    std::string text = pp(clone(std::vector<Variable>{v}, replacements)[0]);
    std::replace(text.begin(), text.end(), '\n', ';');
    return text;
  }

  std::vector<std::string> definitions;

 private:
  std::unordered_map<Variable, Variable> cuts_;
};

}  // namespace

std::string spell_node(const Variable& variable) {
  const Node& node = *variable.node();
  if (node.is_leaf()) return pp(variable);
  std::unordered_map<Variable, Variable> replacements;
  for (const Variable& input : node.inputs()) {
    if (input.node()->is_apply()) {
      replacements.emplace(input, stand_in(input, input.name().empty() ? "…" : input.name()));
    }
  }
  if (node.output_count() == 1) return pp(clone(std::vector<Variable>{variable}, replacements)[0]);
  std::string operands;
  for (const Variable& input : node.inputs()) {
    const auto entry = replacements.find(input);
    operands += (operands.empty() ? "" : ", ") + pp(entry == replacements.end() ? input : entry->second);
  }
  return fmt::format("{}({})[{}]", node_label(node), operands, variable.output_index());
}

RewriteView view_rewrite(std::span<const std::pair<Variable, Variable>> pairs) {
  RewriteView view;
  Cutter cutter;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto& [old, replacement] = pairs[i];
    if (i == most_pairs) {
      view.before += "; …";
      view.after += "; …";
      break;
    }
    Variables meeting;
    find_meeting(replacement, meeting);
    const auto spelled = spelled_nodes(old, meeting, view.replaced);
    const char* separator = i == 0 ? "" : "; ";
    view.before += separator + cutter.spell(old, [&](const Variable& v) {
      return spelled.contains(v.node()) && !(meeting.contains(v) && !(v == old));
    });
    view.after += separator + cutter.spell(replacement, [](const Variable& v) {
      return v.node()->is_apply() && v.node()->graph() == nullptr;
    });
  }
  view.definitions = std::move(cutter.definitions);
  return view;
}

}  // namespace croton
