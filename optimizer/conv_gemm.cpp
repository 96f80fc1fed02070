#include <fmt/format.h>

#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// Below these a product is mostly overhead.
constexpr std::int64_t least_product_side = 16;
// From here on the generated loops, which need no copies, are faster: measured on Zen 4, 61 against 136
// GFLOP/s a core for 20 channels, 50 filters, 5 x 5, batch 500.
constexpr std::int64_t generated_batch = 8;

}  // namespace

/// The Toeplitz matrix of an image at a time and a matrix product with the filters.
const ConvCandidate conv_gemm = {
    .name = "gemm",
    .tag = "conv_gemm",
    .support = [](const ConvProblem& p) -> Support {
      if (p.device.is_cuda()) return refuse("it has no code for a GPU");
      if (p.rank != 2) return refuse(fmt::format("{} spatial axes; gemm has 2", p.rank));
      if (p.dtype != DType::float32)
        return refuse(fmt::format("dtype {}; gemm has float32", name_of(p.dtype)));
      const std::int64_t filters = p.filters / p.groups, row = p.channels / p.groups * p.kernel.count();
      if (filters < least_product_side || row < least_product_side) {
        return poor(
            fmt::format("a product of {} filters with {} kernel elements a group is too thin", filters, row));
      }
      if (is_matrix_product(p)) return accept();
      if (p.batch >= generated_batch) {
        return poor(fmt::format(
            "im2col copies every image element {} times; generated loops over a batch of {} do not",
            p.kernel.count(), p.batch));
      }
      return accept();
    },
    .workspace = [](const ConvProblem& p) -> std::size_t {
      if (is_matrix_product(p)) return 0;
      return static_cast<std::size_t>(p.channels / p.groups * p.kernel.count() * p.out.count()) *
             sizeof(float);
    },
    .error = [](const ConvProblem& p) -> double { return 1.6 * sequential_error(p); },
    .build =
        [](const ConvProblem& p, const Variable& first, const Variable& second,
           const Attributes& attributes) {
          return apply_concrete_conv(corr_mm_op(), p, first, second, attributes);
        },
};

}  // namespace croton
