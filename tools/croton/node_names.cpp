#include "node_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include <croton/graph/error.h>
#include <croton/graph/nearest_names.h>
#include <croton/graph/op.h>

NodeNames::NodeNames(const croton::FunctionGraph& graph) : graph_(graph), order_(graph.topological_order()) {
  croton::debugprint_text(graph, {.done = &ids_});
}

std::string NodeNames::id(const croton::Node& node) const {
  const auto entry = ids_.find(const_cast<croton::Node&>(node).output());
  return entry == ids_.end() ? std::string() : entry->second;
}

std::string NodeNames::title(const croton::Variable& variable) const {
  const croton::Node& node = *variable.node();
  std::string text = id(node) + " ";
  if (node.is_leaf()) return text + croton::leaf_text(variable);
  text += croton::node_label(node);
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (!node.name(i).empty()) text += fmt::format(" '{}'", node.name(i));
  }
  return text;
}

croton::Variable NodeNames::find(std::string_view wanted) const {
  std::vector<std::string_view> names;
  for (const croton::Ref<croton::Node>& node : graph_.nodes()) {
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      if (node->name(i).empty()) continue;
      if (node->name(i) == wanted) return node->output(i);
      names.push_back(node->name(i));
    }
  }
  const bool is_number =
      !wanted.empty() && std::ranges::all_of(wanted, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (is_number && wanted.size() < 10) {
    const auto position = static_cast<std::size_t>(std::stoul(std::string(wanted)));
    if (position < order_.size()) return order_[position]->output();
  }
  std::string_view letters = wanted;
  if (letters.starts_with('[') && letters.ends_with(']')) letters = letters.substr(1, letters.size() - 2);
  if (letters.starts_with("id ")) letters.remove_prefix(3);
  if (letters.starts_with('@')) letters.remove_prefix(1);
  const std::string id = fmt::format("[@{}]", letters);
  for (const auto& [variable, text] : ids_) {
    if (text == id) return variable;
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  std::string known;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 12); ++i) {
    known += fmt::format("{}{}", i == 0 ? "" : ", ", names[i]);
  }
  if (names.size() > 12) known += ", …";
  throw croton::ValueError(fmt::format(
      "there is no node '{}'{}; nodes are called as debugprint shows them: by their ids ([@A] or A), by "
      "their position (0 to {}), or by the names of variables{}{}",
      wanted, croton::did_you_mean(wanted, names), order_.empty() ? 0 : order_.size() - 1,
      known.empty() ? "" : ": ", known));
}
