#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "croton/graph/function_graph.h"

namespace croton {

/// Nodes that become one. The last, in the order of computation, is the root: its value is the group's.
struct FusionGroup {
  Ref<Node> root;
  /// At most one reduction; elementwise nodes in front of it (prologue) and behind it (epilogue).
  Node* reduction = nullptr;
  /// The elementwise nodes.
  std::vector<Node*> members;
  /// What comes from outside, constants of one value aside.
  std::vector<Variable> inputs;
};

/// Elementwise nodes whose types broadcast at the same axes have the same extents at run time, known or not:
/// so plans are made for graphs of unknown extents too. Which node belongs where. A node in several groups is
/// computed in each of them.
class FusionPlan {
 public:
  /// Bounds that keep one kernel compilable and its operands in registers.
  static constexpr std::size_t most_nodes = 64;
  static constexpr std::size_t most_inputs = 24;

  explicit FusionPlan(const FunctionGraph& graph);

  /// In the order of computation.
  std::vector<FusionGroup>& groups() { return groups_; }
  /// Whether a node is computed inside that group.
  bool inside(const Node& node, std::size_t group) const;

 private:
  enum class Side : std::uint8_t { before, reduction, after };
  struct Place {
    std::size_t group = 0;
    Side side = Side::before;
    bool copied = false;  // into the groups of all its clients: in none of its own
  };
  struct Client {
    std::size_t group;
    Side side;  // where the client reads
  };

  void visit(Node& node);
  bool visit_reduction(Node& node);
  bool join(Node& node);
  bool copy_into_clients(Node& node);
  bool clients(const Node& node, std::vector<Client>& found) const;
  bool add(FusionGroup& group, Node& node);
  const TensorType& loop_type(const FusionGroup& group, Side side) const;
  std::size_t start(Node& node);

  const FunctionGraph& graph_;
  std::vector<FusionGroup> groups_;
  std::unordered_map<const Node*, Place> places_;
};

/// A constant that the body of a fused node holds itself: all extents 1.
bool is_inlined_constant(const Variable& v);

}  // namespace croton
