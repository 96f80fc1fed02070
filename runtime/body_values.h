#pragma once

#include <functional>
#include <span>

#include "croton/graph/node.h"
#include "croton/graph/subgraph.h"
#include "croton/graph/tensor.h"

namespace croton {

/// Computes the nodes of a fused body, which stand for scalars, over whole tensors by the reference
/// evaluator, in their order: calls f with each node, its operands and its result. Inputs beyond the body's
/// are left.
void for_each_body_value(const Subgraph& body, std::span<const Tensor> inputs,
                         const std::function<void(const Node&, std::span<const Tensor>, const Tensor&)>& f);

}  // namespace croton
