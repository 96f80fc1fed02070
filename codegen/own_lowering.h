#pragma once

#include <functional>
#include <optional>
#include <span>

#include "croton/codegen/lower.h"
#include "croton/graph/export.h"

namespace croton {

/// Code for the nodes of an op that a program defines itself, on the CPU. Once an op, before a function with
/// such a node is compiled.
using LowerNode = std::function<std::optional<NodeCode>(const Node& node, std::span<const Layout> inputs,
                                                        std::span<const Layout> outputs, int threads)>;
CROTON_API void register_lowering(const Op& op, LowerNode lower);

}  // namespace croton
