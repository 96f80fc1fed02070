#include <fmt/format.h>

#include <algorithm>

#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// The lanes of the vectors are images, but for depthwise convolutions.
constexpr std::int64_t least_batch = 8;

// On a GPU direct loops read each operand about once while the kernels of a group's channels are so small:
// elements of a kernel with its channels, and channels of a gradient. Then memory is what limits them, which
// libraries, made for products of matrices, use to a tenth (measured on an H200: 78 and 93 us for the 6 us
// that LeNet's first layer and its gradient take to read and write).
constexpr std::int64_t most_gpu_kernel_elements = 64;
constexpr std::int64_t most_gpu_channels = 4;
// The inputs' gradient sums over the filters of a group: where these are many it needs many image elements,
// a thread each (128 filters: 0.62 of the library's time for 128 images of 64 x 64, 1.5 times it for 32 x
// 32).
constexpr std::int64_t most_gpu_filters = 32;
constexpr std::int64_t many_gpu_elements = 1 << 18;

bool is_small_on_gpu(const ConvProblem& p) {
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  if (channels > most_gpu_channels || channels * p.kernel.count() > most_gpu_kernel_elements) return false;
  return p.direction != ConvDirection::backward_inputs || filters <= most_gpu_filters ||
         p.batch * p.groups * p.image.count() >= many_gpu_elements;
}

std::string favoured_on_gpu(const ConvProblem& p) {
  if (!p.device.is_cuda() || p.unshared || !is_small_on_gpu(p)) return {};
  const std::int64_t channels = p.channels / p.groups;
  return fmt::format(
      "ahead of libraries on a GPU: {} channel{} a group and {} kernel elements are bound by memory",
      channels, channels == 1 ? "" : "s", p.kernel.count());
}

Support support_of_loops_on_gpu(const ConvProblem& p) {
  if (is_small_on_gpu(p)) return accept();
  return poor(
      fmt::format("{} channels a group and {} kernel elements: its threads read the same elements often",
                  p.channels / p.groups, p.kernel.count()));
}

}  // namespace

/// Direct loops, generated for the problem: every option and floating dtype.
const ConvCandidate conv_legacy = {
    .name = "legacy",
    .tag = "conv_legacy",
    .knows_unshared = true,
    .costly = true,
    .favoured = favoured_on_gpu,
    .support = [](const ConvProblem& p) -> Support {
      if (p.rank != 2)
        return refuse(fmt::format("{} spatial axes; direct loops are generated for 2", p.rank));
      if (p.unshared) return accept();
      if (p.device.is_cuda()) return support_of_loops_on_gpu(p);
      if (p.is_depthwise() && !p.has_strides()) return accept();
      if (p.batch < least_batch) return poor(fmt::format("a batch of {} leaves most lanes empty", p.batch));
      return accept();
    },
    // Some blocks of images with the batch innermost; on a GPU partial sums of a gradient.
    .workspace = [](const ConvProblem& p) -> std::size_t {
      if (p.unshared) return 0;
      if (p.device.is_cuda()) {
        const bool has_partial_sums = p.direction == ConvDirection::backward_weights;
        constexpr std::int64_t partial_sums = std::int64_t{1} << 20;
        return has_partial_sums ? static_cast<std::size_t>(std::max(partial_sums, p.filter_shape().count())) *
                                      size_of(p.dtype)
                                : 0;
      }
      const std::int64_t images = std::min<std::int64_t>(p.batch, 128);
      return static_cast<std::size_t>(images * (p.channels * p.image.count() + p.filters * p.out.count())) *
             size_of(p.dtype);
    },
    .error = plain_sum_error,
    .build =
        [](const ConvProblem& p, const Variable& first, const Variable& second,
           const Attributes& attributes) {
          return apply_concrete_conv(direct_conv_op(), p, first, second, attributes);
        },
};

}  // namespace croton
