#pragma once

#include <span>
#include <string>
#include <vector>

#include "croton/graph/node.h"
#include "croton/graph/tensor.h"

namespace croton {

/// "Elemwise{log}, made at net.cpp:12".
std::string node_text(const Node& node);
/// "x (float32[?,3], made at net.cpp:9): shape (2, 3), strides (3, 1), min -1, max 2.5, 1 NaN".
std::string operand_text(const Variable& variable, const Tensor& value);
/// "min -1, max 2.5, mean 0.1, 1 NaN, 2 infinite"; elements that are not finite do not count but there.
std::string statistics_text(const Tensor& value);
/// "[1, 2.5, 3]", or nothing when there are more than `most` elements.
std::string short_values(const Tensor& value, std::int64_t most = 5);

}  // namespace croton
