#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "croton/graph/node.h"
#include "croton/graph/subgraph.h"

namespace croton {

/// Makes bodies of fused nodes out of elementwise nodes; equal ones are made once.
class BodyMaker {
 public:
  using Inside = std::function<bool(const Node&)>;

  /// What computes `outputs` by the nodes that are inside. `inputs` gets what comes from outside, constants
  /// of one value aside, as first met on the way from the outputs, from left to right. `stop`: a node that
  /// counts as an input, the first one; may be null.
  std::shared_ptr<const Subgraph> make(const Inside& inside, const std::vector<Variable>& outputs,
                                       const Node* stop, std::vector<Variable>& inputs);

 private:
  struct Body;
  static void collect(const Inside& inside, const Variable& output, const Node* stop, Body& body);
  static std::string key_of(const Body& body, const std::vector<Variable>& outputs);
  static std::shared_ptr<const Subgraph> build(const Body& body, const std::vector<Variable>& outputs);

  std::unordered_map<std::string, std::shared_ptr<const Subgraph>> bodies_;
};

}  // namespace croton
