#include <fmt/format.h>

#include "croton/ops/c01b_limits.h"
#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// The images of the batch are the lanes of the vectors.
constexpr std::int64_t least_c01b_batch = 16;

Support c01b_support(const ConvProblem& p) {
  if (p.rank != 2) return refuse(fmt::format("{} spatial axes; c01b has 2", p.rank));
  for (const std::int64_t dilation : p.dilation) {
    if (dilation != 1) return refuse(fmt::format("a dilation of {}; c01b has none", dilation));
  }
  if (std::string limit = strict_cuda_convnet_limit(p); !limit.empty()) return refuse(limit);
  if (p.batch < least_c01b_batch)
    return poor(fmt::format("a batch of {} leaves lanes empty: images lie innermost", p.batch));
  return accept();
}

Variable build_c01b(const ConvProblem& p, const Variable& first, const Variable& second,
                    const Attributes& attributes) {
  return conv_in_layout(c01b_conv_op(), p, first, second, attributes);
}

}  // namespace

/// FilterActs, ImageActs and WeightActs: direct loops over tensors whose innermost axis is the batch. What is
/// transposed between two of them meets and goes (conv_layouts.cpp).
const ConvCandidate conv_c01b = {
    .name = "c01b",
    .tag = "conv_c01b",
    .costly = true,
    .opt_in = true,
    .support = c01b_support,
    // The operands and the result once more.
    .workspace = [](const ConvProblem& p) -> std::size_t {
      return static_cast<std::size_t>(p.image_shape().count() + p.filter_shape().count() +
                                      p.out_shape().count()) *
             size_of(p.dtype);
    },
    .error = plain_sum_error,
    .build = build_c01b,
};

}  // namespace croton
