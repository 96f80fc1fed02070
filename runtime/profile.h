#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "croton/graph/export.h"
#include "croton/optimizer/report.h"
#include "croton/runtime/machine_peak.h"

namespace croton {

/// Seconds that compiling took, by phase, summed over all plans.
struct CompileTimes {
  double device = 0;      ///< starting a GPU: the driver, its context; of the first function there
  double build = 0;       ///< cloning, givens, updates
  double optimize = 0;    ///< the general graph
  double specialize = 0;  ///< choices, fusion and in-place for known shapes
  double lower = 0;       ///< loop IR of every node
  double compile = 0;     ///< machine code, or fetching it from the cache
  double plan = 0;        ///< memory and order
  double total() const { return device + build + optimize + specialize + lower + compile + plan; }
};

/// The memory of one plan while it runs: its intermediate values and results; not the arguments, the
/// constants and the old values of shared variables.
struct CROTON_API MemoryProfile {
  struct Value {
    std::string label;  ///< the node that makes it
    std::string where;
    std::size_t bytes = 0;
    bool is_result = false;
  };
  std::size_t arena_bytes = 0;               ///< what the plan takes for intermediate values
  std::size_t peak_bytes = 0;                ///< alive at once, results included
  std::size_t peak_bytes_without_reuse = 0;  ///< if no node computed over one of its inputs
  std::size_t reused_bytes = 0;              ///< written over inputs by all such nodes together
  std::size_t reuses = 0;                    ///< how many of them
  std::size_t sum_bytes = 0;                 ///< if every value had memory of its own
  std::string peak_step;                     ///< where the peak is
  std::vector<Value> at_peak;                ///< what is alive there, the largest first
  std::vector<std::pair<std::string, std::size_t>> timeline;  ///< what is alive during each step
};

/// How much of a profile is printed.
struct CROTON_API ProfileTextOptions {
  std::size_t nodes = 20;             ///< the slowest
  std::size_t ops = 20;               ///< and classes of ops
  std::size_t smallest_value = 1024;  ///< bytes: of the values that are alive at the peak
  bool memory = true;
  bool rewriting = true;
  /// What the flags profiling.n_apply, profiling.n_ops, profiling.min_memory_size, profile_memory and
  /// profile_optimizer say.
  static ProfileTextOptions from_flags();
};

/// Everything that functions made from now on do, and how they are compiled, is written to this file when the
/// program ends, in the JSON of the Trace Event Format: open it at ui.perfetto.dev. Functions are profiled
/// then. The first call holds.
CROTON_API void trace_to(const std::string& path);

/// What was measured of a function made with profile: the time of every node, summed over its calls.
class CROTON_API Profile {
 public:
  struct Row {
    std::string label;         ///< as debugprint shows the node
    std::string kind;          ///< "kernel", "oneDNN …", "reference", "copy"
    std::string where;         ///< the line that made the node
    std::string shapes;        ///< of inputs and outputs
    bool is_transfer = false;  ///< between the host and a device
    std::uint64_t calls = 0;
    double seconds = 0;     ///< all calls together
    double bytes = 0;       ///< read and written by one call, every operand once
    double operations = 0;  ///< floating-point operations of one call, as the mathematics needs them
    std::size_t nodes = 1;  ///< more when rows are summed
  };

  std::string function;
  std::uint64_t calls = 0;
  std::uint64_t measured_calls = 0;  ///< fewer where measuring each would cost more than 1 % of the time
  double seconds = 0;                ///< in calls, checks of the arguments and locks included
  double measuring_seconds = 0;      ///< what measuring took of that
  CompileTimes compile;
  OptimizerReport rewriting;          ///< which rewrites applied how often, summed over all plans
  std::vector<Row> rows;              ///< by time, the longest first
  std::vector<MemoryProfile> memory;  ///< of the plans, the one used last first
  MachinePeak peak;                   ///< what the machine reaches; zeros when it was not measured

  /// The rows summed by label, or by the op's family ("Elemwise", "Gemm"); the longest first.
  std::vector<Row> by_op() const;
  std::vector<Row> by_class() const;

  /// All sections: function, compile time, classes, ops, nodes, transfers, memory, rewriting.
  std::string to_text(const ProfileTextOptions& options = ProfileTextOptions::from_flags()) const;
};

}  // namespace croton
