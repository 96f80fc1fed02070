#include "graph_difference.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include <croton/graph/hash.h>
#include <croton/graph/op.h>

#include "node_names.h"

namespace {

using croton::Node;

std::string place(const Node& node) { return to_string(node.where()); }

/// One graph with a hash of every node's whole computation.
struct Side {
  explicit Side(const croton::FunctionGraph& graph) : names(graph) {
    for (const Node* node : names.order()) {
      std::size_t seed = std::hash<std::string>()(croton::node_label(*node));
      croton::hash_combine(seed, node->attributes().hash());
      for (const croton::Variable& input : node->inputs()) {
        croton::hash_combine(seed, input.output_index());
        croton::hash_combine(seed, hash_of(input));
      }
      for (std::size_t i = 0; i < node->output_count(); ++i)
        croton::hash_combine(seed, std::hash<std::string>()(to_string(node->type(i))));
      hashes.emplace(node, seed);
      open.push_back(node);
    }
  }

  std::size_t hash_of(const croton::Variable& v) const {
    if (v.node()->is_apply()) return hashes.at(v.node());
    return std::hash<std::string>()(croton::leaf_text(v));
  }

  NodeNames names;
  std::unordered_map<const Node*, std::size_t> hashes;
  std::vector<const Node*> open;  // without a partner
};

struct Pair {
  const Node *before, *after;
};

/// Pairs the open nodes that have the same key, in their order.
template <class Key>
std::vector<Pair> match(Side& a, Side& b, const Key& key) {
  std::map<decltype(key(*a.open[0], a)), std::vector<const Node*>> waiting;
  for (auto node = b.open.rbegin(); node != b.open.rend(); ++node) waiting[key(**node, b)].push_back(*node);
  std::vector<Pair> pairs;
  std::unordered_map<const Node*, bool> taken;
  std::vector<const Node*> left;
  for (const Node* node : a.open) {
    const auto entry = waiting.find(key(*node, a));
    if (entry == waiting.end() || entry->second.empty()) {
      left.push_back(node);
      continue;
    }
    pairs.push_back({node, entry->second.back()});
    taken[entry->second.back()] = true;
    entry->second.pop_back();
  }
  a.open = std::move(left);
  std::erase_if(b.open, [&](const Node* node) { return taken.contains(node); });
  return pairs;
}

}  // namespace

std::string graph_difference_text(const croton::FunctionGraph& before, const croton::FunctionGraph& after,
                                  bool color) {
  Side a(before), b(after);
  const std::size_t same =
      match(a, b, [](const Node& node, const Side& side) { return side.hashes.at(&node); }).size();
  const auto relabelled = [](const Node& node, const Side&) {
    return croton::node_label(node) + "\n" + place(node);
  };
  const std::vector<Pair> rewired = match(a, b, relabelled);
  const std::vector<Pair> changed =
      match(a, b, [](const Node& node, const Side&) { return node.op().name() + "\n" + place(node); });

  const auto title = [](const Side& side, const Node& node) {
    return side.names.title(const_cast<Node&>(node).output());
  };
  const auto line = [&](std::string_view code, const std::string& text, const Node& node) {
    const std::string where = node.where().known() ? fmt::format("  ({})", place(node)) : "";
    return color ? fmt::format("\x1b[{}m{}\x1b[0m{}\n", code, text, where) : text + where + "\n";
  };
  std::string text = fmt::format(
      "{} nodes are the same, {} vanished, {} appeared, {} changed, {} only take other operands\n", same,
      a.open.size(), b.open.size(), changed.size(), rewired.size());
  for (const Node* node : a.open) text += line("31", "- " + title(a, *node), *node);
  for (const Node* node : b.open) text += line("32", "+ " + title(b, *node), *node);
  for (const Pair& pair : changed)
    text += line("33", fmt::format("~ {} -> {}", title(a, *pair.before), title(b, *pair.after)), *pair.after);
  for (const Pair& pair : rewired)
    text +=
        line("2", fmt::format("= {} -> {}", title(a, *pair.before), b.names.id(*pair.after)), *pair.after);
  return text;
}
