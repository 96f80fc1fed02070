#pragma once

#include <span>
#include <unordered_map>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// The slow reference: computes `outputs` node by node with Op::evaluate, by the unoptimized graph as it
/// stands. `values` gives the inputs (any variable may be given: what is behind it is not computed); shared
/// variables have their present values. MissingInputError; TypeError or ShapeError for a value that does not
/// fit its variable; what the ops throw is completed with the node's line and its operands.
CROTON_API std::vector<Tensor> evaluate(std::span<const Variable> outputs,
                                        const std::unordered_map<Variable, Tensor>& values = {});
CROTON_API Tensor evaluate(const Variable& output, const std::unordered_map<Variable, Tensor>& values = {});

}  // namespace croton
