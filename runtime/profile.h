#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "croton/graph/export.h"
#include "croton/optimizer/report.h"

namespace croton {

/// Seconds that compiling took, by phase, summed over all plans.
struct CompileTimes {
  double build = 0;       ///< cloning, givens, updates
  double optimize = 0;    ///< the general graph
  double specialize = 0;  ///< choices, fusion and in-place for known shapes
  double lower = 0;       ///< loop IR of every node
  double compile = 0;     ///< machine code, or fetching it from the cache
  double plan = 0;        ///< memory and order
  double total() const { return build + optimize + specialize + lower + compile + plan; }
};

/// What was measured of a function made with profile: the time of every node, summed over its calls.
class CROTON_API Profile {
 public:
  struct Row {
    std::string label;   ///< as debugprint shows the node
    std::string kind;    ///< "kernel", "oneDNN …", "reference", "copy"
    std::string where;   ///< the line that made the node
    std::string shapes;  ///< of inputs and outputs
    std::uint64_t calls = 0;
    double seconds = 0;     ///< all calls together
    double bytes = 0;       ///< read and written by one call, every operand once
    double operations = 0;  ///< floating-point operations of one call, as the mathematics needs them
  };

  std::string function;
  std::uint64_t calls = 0;
  double seconds = 0;  ///< in calls, checks of the arguments and locks included
  CompileTimes compile;
  OptimizerReport rewriting;  ///< which rewrites applied how often, summed over all plans
  std::vector<Row> rows;      ///< by time, the longest first

  /// A table of the rows with shares, GB/s and GFLOP/s, the same summed by label, and the compile times.
  std::string to_text() const;
};

}  // namespace croton
