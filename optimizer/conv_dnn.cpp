#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "croton/ops/conv_implementations.h"
#include "croton/ops/cudnn_problem.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// A first layer with fewer terms a sum than this is faster in generated loops (measured on Zen 4: 51 against
// 61 GFLOP/s a core for 1 channel and a kernel of 5 x 5, 104 against 70 for 3 channels and 11 x 11).
constexpr std::int64_t least_first_layer_terms = 64;

/// oneDNN works on blocks of 16 channels and 16 filters and fills them up with zeros; only the forward pass
/// and the gradient of the filters know first layers of up to 3 channels.
Support preference(const ConvProblem& p) {
  // oneDNN moves operands to blocked formats and back; the product takes them as they lie.
  if (is_matrix_product(p)) return poor("it is a product of matrices; gemm moves nothing for it");
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  if (filters % 16 != 0) return poor(fmt::format("{} filters a group do not fill blocks of 16", filters));
  if (channels % 16 == 0) return accept();
  if (channels > 3 || p.direction == ConvDirection::backward_inputs) {
    return poor(fmt::format("{} channels a group do not fill blocks of 16", channels));
  }
  const std::int64_t terms = channels * p.kernel.count();
  if (terms < least_first_layer_terms) {
    return poor(fmt::format("a first layer of {} channels with {} terms a sum: its blocks stay empty",
                            channels, terms));
  }
  return accept();
}

/// cuDNN, whose fastest algorithm as measured is taken.
Support support_on_gpu(const ConvProblem& p) {
  std::string reason;
  return cudnn_problem(p, reason) ? accept() : refuse(reason);
}

/// Which algorithm is the fastest is not known here: the largest error of those that take the problem.
/// Fourier transforms take any kernel without stride and dilation, Winograd's filtering 3 x 3 and 5 x 5 ones.
double error_on_gpu(const ConvProblem& p) {
  const double direct = std::max(1.6 * sequential_error(p), allowed_factor_roundoff(p.dtype));
  double elements = 1;  // of an image that is transformed as a whole
  bool is_winograd = p.rank == 2;
  for (std::size_t axis = 0; axis < p.kernel.size(); ++axis) {
    if (p.stride[axis] != 1 || p.dilation[axis] != 1) return direct;
    is_winograd =
        is_winograd && p.kernel[axis] == p.kernel[0] && (p.kernel[axis] == 3 || p.kernel[axis] == 5);
    elements *= static_cast<double>(p.image[axis] + p.pad_lo[axis] + p.pad_hi[axis]);
  }
  // As measured on an H200 (cuDNN 9.14), whose gradient of 3 x 3 filters rounds worst.
  constexpr double winograd_roundings = 90, first_stages = 4, of_stage = 0.8;
  const double roundings =
      is_winograd ? winograd_roundings : first_stages + of_stage * std::log2(std::max(elements, 2.0));
  return std::max(direct, roundings * arithmetic_roundoff(p.dtype) + storage_roundoff(p.dtype));
}

}  // namespace

/// oneDNN on the CPU, cuDNN on a GPU.
const ConvCandidate conv_dnn = {
    .name = "dnn",
    .tag = "conv_dnn",
    .support = [](const ConvProblem& p) -> Support {
      if (p.device.is_cuda()) return support_on_gpu(p);
      if (p.rank != 2) return refuse(fmt::format("{} spatial axes; dnn has 2", p.rank));
      if (p.dtype != DType::float32)
        return refuse(fmt::format("dtype {}; dnn has float32", name_of(p.dtype)));
      if (p.batch == 0 || p.channels == 0 || p.filters == 0 || p.out.count() == 0 || p.image.count() == 0) {
        return refuse("an operand has no elements");
      }
      for (std::size_t axis = 0; axis < 2; ++axis) {
        // oneDNN wants the padding smaller than the kernel.
        const std::int64_t reach = p.dilated_kernel(static_cast<int>(axis));
        if (p.pad_lo[axis] >= reach || p.pad_hi[axis] >= reach) {
          return refuse(
              fmt::format("a padding of {} and {} around a kernel that covers {}; dnn needs less "
                          "than the kernel",
                          p.pad_lo[axis], p.pad_hi[axis], reach));
        }
      }
      return preference(p);
    },
    // Copies of the operands in blocked formats.
    .workspace = [](const ConvProblem& p) -> std::size_t {
      return static_cast<std::size_t>(p.image_shape().count() + p.filter_shape().count() +
                                      p.out_shape().count()) *
             sizeof(float);
    },
    .error = [](const ConvProblem& p) -> double {
      return p.device.is_cuda() ? error_on_gpu(p) : 1.6 * sequential_error(p);
    },
    .build =
        [](const ConvProblem& p, const Variable& first, const Variable& second,
           const Attributes& attributes) {
          return apply_concrete_conv(dnn_conv_op(), p, first, second, attributes);
        },
};

}  // namespace croton
