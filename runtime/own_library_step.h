#pragma once

#include <functional>
#include <memory>
#include <span>

#include "croton/graph/export.h"
#include "croton/runtime/library_step.h"

namespace croton {

/// Makes the steps of an op that a program defines itself; null where it does not compute the node as it
/// lies. Once an op, before a function with such a node is compiled.
using MakeLibraryStep = std::function<std::unique_ptr<LibraryStep>(
    const Node& node, std::span<const Layout> inputs, std::span<const Layout> outputs)>;
CROTON_API void register_library_step(const Op& op, MakeLibraryStep make);

}  // namespace croton
