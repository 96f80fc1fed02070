#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/variable.h"

namespace croton {

/// A closed piece of graph held as an attribute: the body of a fused node. Equality is structural: the inputs
/// count by position and type, names do not count. Immutable, and separate from every function graph.
class CROTON_API Subgraph {
 public:
  /// Clones what lies between inputs and outputs; constants are taken along, shared variables are refused.
  Subgraph(const std::vector<Variable>& inputs, const std::vector<Variable>& outputs);

  const std::vector<Variable>& inputs() const { return inputs_; }
  const std::vector<Variable>& outputs() const { return outputs_; }
  /// The apply nodes, each after its inputs.
  const std::vector<Node*>& nodes() const { return nodes_; }
  std::size_t hash() const { return hash_; }
  friend CROTON_API bool operator==(const Subgraph& a, const Subgraph& b);

 private:
  struct Reference {  // an operand by number: inputs first, then constants and apply outputs as met
    std::uint32_t node;
    std::uint32_t output;
    friend bool operator==(const Reference&, const Reference&) = default;
  };
  std::vector<Variable> inputs_;
  std::vector<Variable> outputs_;
  std::vector<Node*> nodes_;       // apply nodes; kept alive by outputs_
  std::vector<Node*> all_;         // numbered leaves and apply nodes
  std::vector<Reference> wiring_;  // every operand in order, then the outputs
  std::size_t hash_ = 0;
};

}  // namespace croton
