#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/export.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

/// What was found out about one candidate for one problem.
struct CROTON_API ConvTrial {
  std::string name;
  std::vector<double> seconds;  ///< of each measured call, in order; the smallest counts
  std::size_t workspace = 0;    ///< bytes, as the candidate states it
  double error = 0;             ///< likewise
  /// Why there are no times, or why it was not measured further; empty when it took part to the end.
  std::string reason;
  /// It gave a wrong result or could not run.
  bool has_failed = false;
  /// It was not asked to run: it refuses the problem, under the flags of that time.
  bool is_refused = false;

  bool is_measured() const { return !seconds.empty() && !has_failed; }
  /// The smallest; infinity without any.
  double best() const;
};

/// The candidates of one problem, measured.
struct ConvMeasurement {
  std::vector<ConvTrial> trials;
  std::string winner;  ///< empty when none could run
  std::string origin;  ///< "measured now", "from the ledger", "pinned in the ledger"
};

/// What is to be measured of one convolution.
struct ConvTask {
  ConvProblem problem;
  std::vector<const ConvCandidate*> candidates;  ///< those that take the problem
  std::vector<ConvTrial> refused;                ///< those that do not, for the record
};

/// Who measures, for optimizer_including=conv_meta.
class CROTON_API ConvMeasurer {
 public:
  virtual ~ConvMeasurer() = default;
  ConvMeasurer() = default;
  ConvMeasurer(const ConvMeasurer&) = delete;
  ConvMeasurer& operator=(const ConvMeasurer&) = delete;

  /// Compiles the candidates of tasks that nothing is known of, all at the same time: so measuring them takes
  /// less long. What was compiled is kept as long as the result lives.
  virtual std::shared_ptr<const void> prepare(std::span<const ConvTask> tasks) = 0;
  /// Measures the candidates, or knows what was measured before.
  virtual ConvMeasurement measure(const ConvTask& task) = 0;
};

/// Whoever can compile and run says so, once, before the first function is made; it lives as long as the
/// process.
CROTON_API void set_conv_measurer(ConvMeasurer& measurer);
/// Null as long as there is none.
CROTON_API ConvMeasurer* conv_measurer();

}  // namespace croton
