#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "croton/graph/node.h"

namespace croton {

// Nodes as the rules make them: operands have the dtypes and ranks that the ops demand.

Variable elementwise(std::string_view op, std::vector<Variable> inputs);
/// x as it is where the pattern changes nothing.
Variable dimshuffle(const Variable& x, const std::vector<std::int64_t>& pattern);
/// x with axes of extent 1 in front, up to that rank.
Variable pad_left(const Variable& x, int rank);
/// One extent: an int64 constant where it is known.
Variable extent(const Variable& x, int axis);
Variable integer(std::int64_t value);
/// A reduction; the attribute axes as the op has it.
Variable reduction(const Op& op, const Variable& x, std::vector<std::int64_t> axes);

/// What a dot22, dot22_scalar or gemm node computes, from x @ y that is computed otherwise: elementwise work.
Variable instead_of_product(const Node& product, const Variable& value);

/// The node that computes v when it is of that op, else null.
Node* node_of(const Variable& v, const Op* op);
Node* node_of(const Variable& v, std::string_view op);
bool is_elementwise(const Variable& v);

/// The pattern that transposes a matrix.
inline const std::vector<std::int64_t> transposition{1, 0};
const std::vector<std::int64_t>& shuffle_pattern(const Node& dimshuffle);
std::vector<std::int64_t> reduced_axes(const Node& reduction);
/// All axes have static extent 1.
bool is_all_ones(const TensorType& type);
/// Both have static extents of 1 at the same axes.
bool same_broadcast(const TensorType& a, const TensorType& b);
/// Extents that are known and equal.
bool same_known_shape(const TensorType& a, const TensorType& b);

}  // namespace croton
