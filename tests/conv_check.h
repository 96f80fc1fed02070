#pragma once

#include <exception>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "concrete_conv.h"
#include "croton/optimizer/conv_candidate.h"
#include "croton/runtime/function.h"

namespace croton::test {

/// What one candidate did in one direction.
struct ConvTally {
  int problems = 0, failures = 0;
  double worst = 0;  // error, in units of what is stated
};
using ConvTallies = std::map<std::pair<std::string, ConvDirection>, ConvTally>;

/// A problem for the device that the flag says, its operands uniform on (-1, 1), what it is in float64, and a
/// function for each candidate that takes it.
class ConvCheck {
 public:
  /// Without `measures` none of what chooses a library's algorithm by measuring, on a GPU: that takes a
  /// second.
  ConvCheck(ConcreteConvCase c, std::mt19937& random, bool measures = true);

  /// Leaves out candidates that have `enough` problems of this direction in the tallies.
  void leave_out(const ConvTallies& tallies, int enough);
  /// By the reference, in float64. May run on any thread.
  void compute_expected();
  /// Of candidates that generate code; those of a library are compiled when they run. May run on any thread.
  void compile_candidates();
  /// Runs every candidate and compares it with what it states.
  void run(ConvTallies& tallies);
  const ConvProblem& problem() const { return c_.problem; }

 private:
  struct Entrant {
    const ConvCandidate* candidate;
    Function function;
    std::exception_ptr error;
  };
  Function function_of(const ConvCandidate& candidate) const;
  bool is_library(const ConvCandidate& candidate) const;

  ConcreteConvCase c_;
  Tensor expected_;
  std::vector<Entrant> entrants_;
};

}  // namespace croton::test
