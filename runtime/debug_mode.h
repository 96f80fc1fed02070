#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "croton/runtime/debug_rewrites.h"
#include "croton/runtime/debug_steps.h"
#include "croton/runtime/function_definition.h"
#include "croton/runtime/output_record.h"

namespace croton {

/// DebugMode of one function. Every call is worked through several times before the function's own plan runs:
/// the graph is optimized anew with each rewrite compared on the values of the call, then the specialised
/// graph runs step by step under StepChecker, with other memory contents, orders, alignments and strides each
/// time.
class DebugChecker {
 public:
  /// `original`: the definition's graph as it was before the optimizer saw it.
  DebugChecker(const FunctionDefinition& definition, const FunctionGraph& original,
               std::vector<SharedCell*> cells, std::vector<SharedCell*> updated);

  /// What a call must give, and what the updated shared variables held before.
  struct Expected {
    std::vector<Tensor> outputs, updates, old_values;
  };
  /// The cells are locked. Throws DebugModeError; errors of the user's keep their types.
  Expected check(const Tensor* const* inputs);
  /// Compares what the function's own plan computed and stored; puts old values back where it is wrong.
  void check_results(const Expected& expected, const OutputRecord& outputs,
                     const std::string& plan_text) const;

 private:
  struct Run;
  std::shared_ptr<const FunctionGraph> check_rewrites(const Tensor* const* inputs);
  void compare_typed(const FunctionGraph& general, RewriteChecker& before, const FunctionGraph& typed,
                     RewriteChecker& after) const;
  Run run(const std::shared_ptr<const FunctionGraph>& graph, const Tensor* const* inputs, std::size_t number,
          std::uint64_t pattern) const;
  void check_steps(const std::shared_ptr<const FunctionGraph>& graph, const Tensor* const* inputs,
                   Expected& expected) const;
  [[noreturn]] void fail(const StepFault& fault, const std::string& kind) const;

  const FunctionDefinition& definition_;
  const FunctionGraph& original_;
  std::vector<SharedCell*> cells_, updated_;
  RewriteTrace trace_;  // of the first optimization, which all later ones must repeat
  std::mutex mutex_;    // guards what follows
  bool gradients_checked_ = false;
};

}  // namespace croton
