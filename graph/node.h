#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/ref.h"
#include "croton/graph/source_location.h"
#include "croton/graph/tensor.h"
#include "croton/graph/type.h"
#include "croton/graph/variable.h"

namespace croton {

class FunctionGraph;
class Op;
class SharedCell;

/// One rewrite in the history of a node: the rule's name and the step before it.
struct RewriteStep {
  std::string_view rule;
  std::shared_ptr<const RewriteStep> previous;
};

/// One place where a variable is used in a function graph: input `slot` of `node`.
struct Use {
  Node* node;
  std::uint32_t slot;
  friend bool operator==(const Use&, const Use&) = default;
};

/// A vertex of the expression graph: an input, a constant, a shared variable (each with one output), or the
/// application of an op to inputs. Immutable for users (but for names); a FunctionGraph changes the nodes
/// that it owns. Destruction of a long chain of nodes does not recurse.
class CROTON_API Node {
 public:
  enum class Kind : std::uint8_t { input, constant, shared, apply };

  static Ref<Node> make_input(TensorType type, std::string name, SourceLocation where);
  static Ref<Node> make_constant(Tensor value, SourceLocation where);
  static Ref<Node> make_shared(std::shared_ptr<SharedCell> cell, TensorType type, SourceLocation where);
  /// Without checks: the output types are given. See make_node() in op.h for the checked way.
  static Ref<Node> make_apply(const Op& op, std::vector<Variable> inputs, Attributes attributes,
                              std::vector<TensorType> types, SourceLocation where);

  Kind kind() const { return kind_; }
  bool is_apply() const { return kind_ == Kind::apply; }
  bool is_leaf() const { return kind_ != Kind::apply; }
  /// Only for apply nodes.
  const Op& op() const { return *op_; }
  const Attributes& attributes() const { return attributes_; }
  std::span<const Variable> inputs() const { return inputs_; }
  const Variable& input(std::size_t i) const { return inputs_[i]; }
  std::size_t input_count() const { return inputs_.size(); }

  std::size_t output_count() const { return outputs_.size(); }
  Variable output(std::size_t i = 0) const;
  const TensorType& type(std::size_t i = 0) const { return outputs_[i].type; }
  const std::string& name(std::size_t i = 0) const { return outputs_[i].name; }

  /// Only for constants.
  const Tensor& value() const { return value_; }
  /// Only for shared variables.
  const std::shared_ptr<SharedCell>& cell() const { return cell_; }

  const SourceLocation& where() const { return where_; }
  /// The rewrites that led to this node, oldest first; empty for a node as the user built it.
  std::vector<std::string_view> rewrites() const;
  const std::shared_ptr<const RewriteStep>& last_rewrite() const { return rewrites_; }
  /// Grows with creation; unique in the process.
  std::uint64_t id() const { return id_; }

  /// The function graph that owns this node, or null for a node in the user's hands.
  const FunctionGraph* graph() const { return graph_; }
  /// Where an output is used within that graph. Graph outputs are not uses.
  std::span<const Use> uses(std::size_t output = 0) const { return outputs_[output].uses; }

  void acquire() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

 private:
  friend class FunctionGraph;
  friend class Variable;

  struct Output {
    TensorType type;
    std::string name;
    std::vector<Use> uses;
    std::shared_ptr<const Tensor> test_value;
  };

  Node(Kind kind, SourceLocation where);
  ~Node() = default;

  Kind kind_;
  mutable std::atomic<std::uint32_t> references_{0};
  std::uint64_t id_;
  const Op* op_ = nullptr;
  Attributes attributes_;
  std::vector<Variable> inputs_;
  std::vector<Output> outputs_;
  Tensor value_;
  std::shared_ptr<SharedCell> cell_;
  SourceLocation where_;
  std::shared_ptr<const RewriteStep> rewrites_;
  // Kept by the owning function graph.
  FunctionGraph* graph_ = nullptr;
  std::size_t position_ = 0;                  // in the graph's list of nodes
  std::vector<std::uint32_t> use_positions_;  // of each input's use in the used variable's list
};

/// The nodes that `outputs` need, each after its inputs; deterministic. Inputs are visited from the last to
/// the first, which numbers the nodes as Theano does.
CROTON_API std::vector<Node*> topological_order(std::span<const Variable> outputs);

/// Equality of two constants: dtype, shape and bytes.
CROTON_API bool same_value(const Tensor& a, const Tensor& b);

}  // namespace croton
