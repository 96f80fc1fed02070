#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "croton/graph/node.h"
#include "croton/graph/variable.h"

namespace croton {

/// How a clone gets the types of its apply nodes.
enum class CloneTypes : std::uint8_t {
  keep,   // as in the original
  infer,  // inferred anew from the (possibly replaced) inputs
};

/// Clones the graph of `outputs`; `replacements` maps variables to what stands for them in the clone (what is
/// mapped to is not cloned itself). Inputs and shared variables that are not mapped are kept as they are.
/// Returns the clones of the outputs.
CROTON_API std::vector<Variable> clone(std::span<const Variable> outputs,
                                       const std::unordered_map<Variable, Variable>& replacements,
                                       CloneTypes types = CloneTypes::keep);

/// Told of every change in a function graph.
class GraphListener {
 public:
  virtual ~GraphListener() = default;
  virtual void on_import(Node&) {}
  virtual void on_prune(Node&) {}
  /// An input of a node was exchanged.
  virtual void on_change_input(Node&, std::size_t /*slot*/) {}
  /// The rule is about to put the second of each pair in the place of the first: nothing has changed yet, and
  /// what is new is not yet imported.
  virtual void on_replace(std::span<const std::pair<Variable, Variable>>, std::string_view /*rule*/) {}
  /// That replacement is done, merging and pruning included.
  virtual void on_replaced() {}
  /// The rule exchanged the attributes of a node (an in-place mark).
  virtual void on_set_attributes(Node&, std::string_view /*rule*/) {}
};

/// A graph in the hands of the compiler: it owns clones of the user's nodes, knows where each variable is
/// used, keeps equal nodes (same op, attributes and inputs; equal constants) merged into one at all times,
/// and drops what is no longer needed. Every operation costs time in proportion to what it touches.
class CROTON_API FunctionGraph {
 public:
  /// Clones what `outputs` need. `inputs` may be any variables: the graph is cut there. `replacements` as in
  /// clone() (givens). A needed input that is not listed is a MissingInputError.
  FunctionGraph(std::span<const Variable> inputs, std::span<const Variable> outputs,
                const std::unordered_map<Variable, Variable>& replacements = {});
  ~FunctionGraph();
  FunctionGraph(const FunctionGraph&) = delete;
  FunctionGraph& operator=(const FunctionGraph&) = delete;

  /// Told of each apply node that with_types copies: the node that is copied, the copy's inputs, and the
  /// copy's output types as they were inferred, which it may make more precise.
  using TypeRefiner = std::function<void(const Node& original, std::span<const Variable> inputs,
                                         std::vector<TensorType>& types)>;
  /// A copy whose inputs and shared variables have these types (by position; shared() order), all other types
  /// inferred anew; equal nodes merged, names and histories kept. The types must be compatible with the
  /// present ones.
  /// `copied`, when given, gets what stands in the copy for each variable of a node here.
  std::unique_ptr<FunctionGraph> with_types(std::span<const TensorType> input_types,
                                            std::span<const TensorType> shared_types,
                                            const TypeRefiner& refiner = {},
                                            std::unordered_map<Variable, Variable>* copied = nullptr) const;

  const std::vector<Variable>& inputs() const { return inputs_; }
  const std::vector<Variable>& outputs() const { return outputs_; }
  /// The shared variables in use, in order of first need by the outputs at construction.
  const std::vector<Variable>& shared() const { return shared_; }
  /// Every node, in no particular order.
  std::span<const Ref<Node>> nodes() const { return nodes_; }
  std::size_t apply_count() const { return apply_count_; }
  bool contains(const Variable& v) const { return v.node() != nullptr && v.node()->graph() == this; }
  /// A graph output (counted as a client beside the uses).
  bool is_output(const Variable& v) const { return output_uses_.contains(v); }
  /// Uses in nodes and graph outputs together.
  std::size_t client_count(const Variable& v) const;

  /// Apply nodes, each after its inputs and, where a node destroys an input, after every other reader of that
  /// memory (views followed). Throws InconsistencyError where that is impossible: two destroyers of one
  /// value, a cycle.
  std::vector<Node*> topological_order() const;

  /// Puts `replacement` in the place of `old` everywhere except in what the replacement itself newly brings
  /// along. New nodes are imported, get `rule` into their history, old's location where they have none, and
  /// old's name where `old` is an apply node. InternalError where the types are not compatible.
  void replace(const Variable& old, const Variable& replacement, std::string_view rule);
  /// Several at once: every replacement is imported before any is put in place.
  void replace_all(std::span<const std::pair<Variable, Variable>> pairs, std::string_view rule);
  /// Puts new outputs in the places of all outputs, made from leaves and nodes of the graph and new nodes;
  /// what is not needed any more goes. They may lie elsewhere than the old ones. `origins`: which node of the
  /// graph a new node computes; its history goes on.
  void replace_outputs(std::span<const Variable> outputs,
                       const std::unordered_map<const Node*, const Node*>& origins, std::string_view rule);
  /// Says that an input or a shared variable lies on a device. Nodes that use it must then be replaced by
  /// such that work there (replace_outputs), before anything else is done with the graph.
  void set_device(const Variable& leaf, Device device);
  /// Exchanges the attributes of a node (in-place marks); merges nothing.
  void set_attributes(Node& node, Attributes attributes, std::string_view rule);

  void add_listener(GraphListener* listener);
  void remove_listener(GraphListener* listener);

  /// Counts replacements so far: unchanged means that a pass did nothing.
  std::uint64_t change_count() const { return changes_; }
  /// Verifies uses, merging, types and order; InternalError on the first fault. For tests and DebugMode.
  void check() const;

 private:
  struct Import;
  FunctionGraph() = default;
  Variable import(const Variable& variable, Import& context);
  void adopt(Ref<Node> node);
  void link_input(Node& node, std::size_t slot);
  void unlink_input(Node& node, std::size_t slot);
  void exchange(const Variable& old, const Variable& replacement, std::vector<Use> uses);
  void change_input(Node& node, std::size_t slot, const Variable& replacement);
  void prune(Node* node);
  void add_output(Variable output);
  void set_output(std::size_t position, const Variable& replacement);

  // Equal nodes are one (function_graph_merging.cpp).
  void remember(Node& node);
  void forget(Node& node);
  void rehash(Node& node);
  Node* find_equal(const Node& node) const;
  static void keep_names(const Node& merged, Node& kept);
  void merge_pending();

  std::vector<Variable> inputs_;
  std::vector<Variable> outputs_;
  std::vector<Variable> shared_;
  std::vector<Ref<Node>> nodes_;
  std::size_t apply_count_ = 0;
  std::unordered_map<Variable, std::vector<std::size_t>> output_uses_;
  std::unordered_multimap<std::size_t, Node*> table_;  // by structural hash
  std::vector<Ref<Node>> pending_merges_;
  std::vector<GraphListener*> listeners_;
  std::uint64_t changes_ = 0;
};

}  // namespace croton
