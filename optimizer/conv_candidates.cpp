#include "croton/optimizer/conv_candidate.h"

namespace croton {

std::span<const ConvCandidate* const> conv_candidates() {
  // The only registration. The order is the default priority.
  static constexpr const ConvCandidate* candidates[] = {&conv_dnn, &conv_gemm, &conv_legacy};
  return candidates;
}

std::int64_t conv_terms(const ConvProblem& p) {
  switch (p.direction) {
    case ConvDirection::forward:
      return p.channels / p.groups * p.kernel.count();
    case ConvDirection::backward_inputs:
      return p.filters / p.groups * p.kernel.count();
    default:
      return p.batch * p.out.count();
  }
}

}  // namespace croton
