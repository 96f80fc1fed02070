#include "croton/codegen/lower_conv_lanes.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

// From here on the images of a batch fill enough lanes.
constexpr std::int64_t least_batch_lanes = 8;

// A group of a block of images with the batch innermost must stay in a cache.
constexpr std::int64_t largest_block = 8 * 1024 * 1024;

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
  if (problem.unshared) return lower_conv_unshared(context, problem);
  if (!conv_maxima(context.node.attributes()).empty() && !context.is_gpu()) return std::nullopt;
  if (context.is_gpu()) {
    return problem.direction == ConvDirection::backward_weights
               ? lower_conv_weights_on_gpu(context, problem)
               : lower_conv_on_gpu(context, correlation_of(problem));
  }
  const ConvTuning tuning = read_tuning(context.node.attributes());
  const bool is_free = !tuning.unroll_batch && !tuning.unroll_kern && tuning.unroll_patch.value_or(true);
  if (is_free && has_depthwise_loops(problem, context.threads))
    return lower_conv_depthwise(context, problem, tuning);
  // unroll_batch: how many images are worked on at once.
  const bool is_said = tuning.unroll_batch.has_value();
  const bool is_batch_said = is_said && *tuning.unroll_batch >= least_batch_lanes;
  if (problem.direction == ConvDirection::backward_weights) {
    const bool is_empty = problem.filter_shape().count() == 0 || problem.image_shape().count() == 0 ||
                          problem.out_shape().count() == 0;
    const bool is_faster = weights_batch_lanes_cycles(problem) < weights_flat_lanes_cycles(problem, tuning);
    return is_empty || (is_said ? is_batch_said : is_faster)
               ? lower_conv_weights_batch_lanes(context, problem, tuning)
               : lower_conv_weights_flat_lanes(context, problem, tuning);
  }
  const Correlation correlation = correlation_of(problem);
  const std::int64_t block = conv_lanes(problem.dtype) * correlation.source_image() / correlation.groups *
                             static_cast<std::int64_t>(size_of(problem.dtype));
  const bool is_faster = block <= largest_block &&
                         batch_lanes_cycles(correlation, tuning) < flat_lanes_cycles(correlation, tuning);
  return (is_said ? is_batch_said : is_faster) ? lower_conv_batch_lanes(context, correlation, tuning)
                                               : lower_conv_flat_lanes(context, correlation, tuning);
}

}  // namespace croton
