#pragma once

#include <string>
#include <vector>

#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/graph/tensor.h"

namespace croton::test {

/// An input of a tensor's dtype and shape.
inline Variable input_like(const Tensor& t) {
  return Variable(Node::make_input({t.dtype(), t.shape()}, "", {}));
}

inline std::vector<Variable> inputs_like(const std::vector<Tensor>& tensors) {
  std::vector<Variable> variables;
  for (const Tensor& t : tensors) variables.push_back(input_like(t));
  return variables;
}

/// The op of the node that makes v, as debugprint shows it.
inline std::string label(const Variable& v) { return v.node()->op().label(*v.node()); }

}  // namespace croton::test
