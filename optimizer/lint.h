#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/optimizer/query.h"

namespace croton {

/// Something in a graph that is probably not what its author wanted.
struct CROTON_API LintFinding {
  std::string_view kind;  ///< "float64", "broadcast", "unstable", "convolution", "transfer"
  std::string where;      ///< the user's line, or nothing
  std::string what;       ///< what is there
  std::string advice;     ///< what to write instead
};

/// The stages of one graph.
struct LintGraphs {
  const FunctionGraph& built;
  const FunctionGraph& general;      ///< after optimize()
  const FunctionGraph& typed;        ///< with the shapes of a call, convolutions still abstract
  const FunctionGraph& specialised;  ///< after specialize()
};

/// Looks for float64 that comes from mixing dtypes, broadcasting that never happens, unstable expressions
/// that no rule rewrote, convolutions that no implementation is good at, copies between devices within a
/// step. `device` is what they are for.
CROTON_API std::vector<LintFinding> lint(const LintGraphs& graphs, const Query& query,
                                         const Device& device = {});

}  // namespace croton
