#include <fmt/format.h>

#include <algorithm>

#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// The lanes of the vectors are images.
constexpr std::int64_t least_batch = 8;

}  // namespace

/// Direct loops, generated for the problem: every option and floating dtype.
const ConvCandidate conv_legacy = {
    .name = "legacy",
    .tag = "conv_legacy",
    .costly = true,
    .support = [](const ConvProblem& p) -> Support {
      if (p.rank != 2)
        return refuse(fmt::format("{} spatial axes; direct loops are generated for 2", p.rank));
      if (p.batch < least_batch) return poor(fmt::format("a batch of {} leaves most lanes empty", p.batch));
      return accept();
    },
    // Some blocks of images with the batch innermost.
    .workspace = [](const ConvProblem& p) -> std::size_t {
      const std::int64_t images = std::min<std::int64_t>(p.batch, 128);
      return static_cast<std::size_t>(images * (p.channels * p.image.count() + p.filters * p.out.count())) *
             size_of(p.dtype);
    },
    .error = [](const ConvProblem& p) -> double { return 1.6 * sequential_error(p); },
    .build =
        [](const ConvProblem& p, const Variable& first, const Variable& second,
           const Attributes& attributes) {
          return apply_concrete_conv(direct_conv_op(), p, first, second, attributes);
        },
};

}  // namespace croton
