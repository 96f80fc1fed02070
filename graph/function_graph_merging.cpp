#include <algorithm>

#include "croton/graph/function_graph.h"
#include "croton/graph/hash.h"
#include "croton/graph/op.h"

namespace croton {

namespace {

std::size_t constant_hash(const Tensor& value) {
  std::size_t seed = static_cast<std::size_t>(value.dtype());
  for (std::int64_t extent : value.shape()) hash_combine(seed, static_cast<std::size_t>(extent));
  if (value.size() == 0) return seed;
  // The beginning tells most constants apart; equality is decided on all bytes.
  const Tensor plain = value.is_contiguous() ? value : value.contiguous();
  const std::size_t bytes =
      std::min<std::size_t>(static_cast<std::size_t>(value.size()) * size_of(value.dtype()), 1024);
  hash_combine(seed, std::hash<std::string_view>()({static_cast<const char*>(plain.raw_data()), bytes}));
  return seed;
}

std::size_t structural_hash(const Node& node) {
  if (node.kind() == Node::Kind::constant) return constant_hash(node.value());
  std::size_t seed = reinterpret_cast<std::size_t>(&node.op());
  hash_combine(seed, node.attributes().hash());
  for (const Variable& input : node.inputs()) {
    hash_combine(seed, reinterpret_cast<std::size_t>(input.node()) + input.output_index());
  }
  return seed;
}

bool structurally_equal(const Node& a, const Node& b) {
  if (a.kind() != b.kind()) return false;
  if (a.kind() == Node::Kind::constant) return same_value(a.value(), b.value());
  return &a.op() == &b.op() && a.attributes() == b.attributes() &&
         std::ranges::equal(a.inputs(), b.inputs()) && a.type().device == b.type().device;
}

bool is_merged(const Node& node) {
  return node.kind() == Node::Kind::constant || (node.is_apply() && !node.op().has_side_effect());
}

}  // namespace

Node* FunctionGraph::find_equal(const Node& node) const {
  if (!is_merged(node)) return nullptr;
  const auto [first, last] = table_.equal_range(structural_hash(node));
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second != &node && structurally_equal(*entry->second, node)) return entry->second;
  }
  return nullptr;
}

void FunctionGraph::remember(Node& node) {
  if (is_merged(node)) table_.emplace(structural_hash(node), &node);
}

void FunctionGraph::forget(Node& node) {
  if (!is_merged(node)) return;
  const auto [first, last] = table_.equal_range(structural_hash(node));
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second == &node) {
      table_.erase(entry);
      return;
    }
  }
}

void FunctionGraph::rehash(Node& node) {
  if (!is_merged(node)) return;
  if (find_equal(node) != nullptr) {
    pending_merges_.emplace_back(&node);
  } else {
    remember(node);
  }
}

void FunctionGraph::keep_names(const Node& merged, Node& kept) {
  for (std::size_t i = 0; i < kept.outputs_.size(); ++i) {
    if (kept.outputs_[i].name.empty()) kept.outputs_[i].name = merged.outputs_[i].name;
  }
}

void FunctionGraph::merge_pending() {
  while (!pending_merges_.empty()) {
    const Ref<Node> node = std::move(pending_merges_.back());
    pending_merges_.pop_back();
    if (node->graph_ != this) continue;
    Node* equal = find_equal(*node);
    if (equal == nullptr) {  // what it was equal to has changed since
      forget(*node);
      remember(*node);
      continue;
    }
    keep_names(*node, *equal);
    for (std::size_t i = 0; i < node->output_count(); ++i) {
      exchange(node->output(i), equal->output(i), {node->uses(i).begin(), node->uses(i).end()});
    }
    prune(node.get());
  }
}

}  // namespace croton
