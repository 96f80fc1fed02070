#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/function_graph.h"
#include "croton/optimizer/conv_candidate.h"
#include "croton/optimizer/conv_measurement.h"
#include "croton/optimizer/query.h"

namespace croton {

/// How an implementation was chosen for one problem: every candidate in the order in which it was asked, with
/// its answer. Asked again for the same problem and query it is the same (measurements are remembered), so
/// that `why` can ask.
struct CROTON_API ConvChoice {
  struct Entry {
    const ConvCandidate* candidate = nullptr;
    /// Why it was not asked: what the query or the convolution itself says. Empty where it was.
    std::string excluded_by = {};
    /// The query asks for it.
    bool is_wanted = false;
    Support support = {};
    /// ConvCandidate::favoured, where that counts.
    std::string favour = {};
    /// What was measured, under conv_meta.
    std::optional<ConvTrial> trial = std::nullopt;
  };
  ConvProblem problem;
  std::vector<Entry> entries;
  const ConvCandidate* chosen = nullptr;
  /// The version of the 2-D convolutions, where conv3d2d is chosen: the problem's, but for the names of 3-D
  /// convolutions in the query.
  std::string version_of_parts = {};
  /// What decided: "the first that takes it", "measured now", "from the ledger", …
  std::string reason;

  /// A line for the problem, one for the choice, one for each candidate.
  std::string text() const;
};

/// The error (ConvCandidate::error) that an implementation may have: the flag metaopt.max_error, else
/// twice that of sums in float32 (float64 for float64), more where the library's is (conv_dnn), or where the
/// flag precision allows less exact factors.
CROTON_API double allowed_error(const ConvProblem& problem);

/// What a candidate answers, and whether its error and its workspace are allowed.
CROTON_API Support ask(const ConvCandidate& candidate, const ConvProblem& problem);

/// The first candidate that accepts the problem, else the first that takes it though it is poor at it; those
/// that the query includes by their tag (or the names of 3-D convolutions by direction, conv3d_fft,
/// convgrad3d_gemm and so on) go first, in the order written. Where such a name means an implementation that
/// has two axes only, it means conv3d2d with parts by that implementation, if it takes them. A convolution
/// whose version names an implementation asks no other. In FAST_COMPILE costly ones are poor. With conv_meta
/// the fastest of all that take it, as measured. Throws DeviceError where none takes it, with every
/// candidate's reason.
CROTON_API ConvChoice choose_convolution(const ConvProblem& problem, const Query& query);

/// The problem of a convolution in a graph, with how its operands lie there and its result is wanted.
CROTON_API ConvProblem conv_problem_in_graph(const Node& node);

/// Whether a node is a convolution without an implementation.
CROTON_API bool is_abstract_convolution(const Node& node);
/// And choose_convolutions would choose one: its shapes are known.
CROTON_API bool is_open_convolution(const Node& node);

/// Puts an implementation in the place of every abstract convolution whose operands have static shapes.
CROTON_API void choose_convolutions(FunctionGraph& graph, const Query& query);

/// The tags by which queries include and exclude implementations of convolutions.
CROTON_API std::span<const std::string_view> conv_tags();

}  // namespace croton
