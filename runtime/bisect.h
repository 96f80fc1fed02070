#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/text_form.h"
#include "croton/runtime/mode.h"

namespace croton {

/// A small case of something that goes wrong, and what is wrong.
struct CROTON_API BisectResult {
  /// What DebugMode says of the small case; its first line names the rewrite, kernel or library call.
  std::string report;
  TextGraph graph;
  std::vector<Tensor> inputs;  // values of graph.inputs
  /// Flags that the fault may need, with their values of now.
  std::vector<std::pair<std::string, std::string>> flags;
  std::size_t nodes_before = 0, nodes_after = 0;
  std::size_t tries = 0;  // smaller cases that were looked at

  /// A C++ program that includes <croton/croton.h> only, holds the graph and the data, compares the optimized
  /// function with the unoptimized one and ends with status 1 where they differ.
  std::string program() const;
};

/// Runs a graph on values in DebugMode. When it finds a fault, looks for the smallest graph, inputs and
/// shapes that still show the same one: later nodes go, operands become inputs, extents are halved; shared
/// variables and their updates stay only where the fault needs them. Nothing when no result leaves the
/// tolerance. `mode` brings what is included and excluded. Shared variables need values. What the graph
/// itself throws is thrown.
CROTON_API std::optional<BisectResult> bisect(const TextGraph& graph, const std::vector<Tensor>& inputs,
                                              const Mode& mode = default_mode());

}  // namespace croton
