#pragma once

#include "croton/graph/export.h"
#include "croton/graph/node.h"

namespace croton {

/// Whether there is code for the node on a CUDA device: a view, a library's, generated. What placement asks,
/// of nodes of static shapes before implementations of convolutions are chosen.
CROTON_API bool cuda_supports(const Node& node);

}  // namespace croton
