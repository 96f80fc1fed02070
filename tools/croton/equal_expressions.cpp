#include "equal_expressions.h"

#include <fmt/format.h>

#include <map>
#include <unordered_map>
#include <vector>

#include <croton/graph/node.h>
#include <croton/graph/op.h>

namespace {

/// A number for each class of nodes that compute the same.
class Classes {
 public:
  explicit Classes(const std::vector<croton::Node*>& order) {
    for (const croton::Node* node : order) {
      std::string key = croton::node_label(*node);
      for (const croton::Variable& input : node->inputs())
        key += fmt::format(" {}.{}", class_of(*input.node()), input.output_index());
      if (node->op().has_side_effect()) key += fmt::format(" #{}", node->id());  // never the same
      classes_.emplace(node, number_of(key));
    }
  }

  std::size_t class_of(const croton::Node& node) {
    const auto entry = classes_.find(&node);
    if (entry != classes_.end()) return entry->second;
    // A leaf: small constants of equal bytes are the same, other leaves only themselves.
    std::string key = fmt::format("leaf {}", node.id());
    constexpr std::size_t small = 256;
    if (node.kind() == croton::Node::Kind::constant && node.value().bytes() <= small) {
      const croton::Tensor value = node.value().contiguous();
      key = to_string(node.type()) + std::string(static_cast<const char*>(value.raw_data()), value.bytes());
    }
    return classes_.emplace(&node, number_of(key)).first->second;
  }

 private:
  std::size_t number_of(const std::string& key) {
    return numbers_.emplace(key, numbers_.size()).first->second;
  }

  std::map<std::string, std::size_t> numbers_;
  std::unordered_map<const croton::Node*, std::size_t> classes_;
};

}  // namespace

std::string equal_expression(const croton::TextGraph& graph, const std::string& name) {
  const std::vector<croton::Node*> order = croton::topological_order(graph.results());
  Classes classes(order);
  const croton::Node* wanted = nullptr;
  for (const croton::Node* node : order) {
    if (node->name() == name) wanted = node;
  }
  if (wanted == nullptr) return {};
  for (const croton::Node* node : order) {
    if (node == wanted || classes.class_of(*node) != classes.class_of(*wanted)) continue;
    return node->name().empty()
               ? fmt::format("{}, made at {}", croton::node_label(*node), to_string(node->where()))
               : node->name();
  }
  return {};
}
