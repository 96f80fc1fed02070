#include "croton/codegen/lower_conv_lanes.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

ConvTuning read_tuning(const Attributes& attributes) {
  ConvTuning tuning;
  if (attributes.contains("unroll_batch")) tuning.unroll_batch = attributes.get<std::int64_t>("unroll_batch");
  if (attributes.contains("unroll_kern")) tuning.unroll_kern = attributes.get<std::int64_t>("unroll_kern");
  if (attributes.contains("unroll_patch")) tuning.unroll_patch = attributes.get<bool>("unroll_patch");
  tuning.openmp = attributes.get_or<bool>("openmp", true);
  return tuning;
}

}  // namespace

std::optional<NodeCode> lower_conv(const LowerContext& context) {
  const ConvProblem problem = concrete_conv_problem(context.node);
  if (problem.rank != 2) return std::nullopt;
  for (const Layout& input : context.inputs) {
    // The caller copies what lies otherwise and asks again.
    if (!is_contiguous(input)) return std::nullopt;
  }
  const ConvTuning tuning = read_tuning(context.node.attributes());
  if (problem.direction == ConvDirection::backward_weights) {
    return lower_conv_weights_batch_lanes(context, problem, tuning);
  }
  return lower_conv_batch_lanes(context, correlation_of(problem), tuning);
}

}  // namespace croton
