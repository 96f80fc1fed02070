#include <fmt/format.h>

#include <cmath>

#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

/// oneDNN on the CPU.
const ConvCandidate conv_dnn = {
    .name = "dnn",
    .tag = "conv_dnn",
    .support = [](const ConvProblem& p) -> Support {
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
      const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
      if (channels % 16 != 0 || filters % 16 != 0) {
        return poor(
            fmt::format("{} channels and {} filters a group; oneDNN works on blocks of 16 and fills "
                        "them up with zeros",
                        channels, filters));
      }
      return accept();
    },
    // Copies of the operands in blocked formats.
    .workspace = [](const ConvProblem& p) -> std::size_t {
      return static_cast<std::size_t>(p.image_shape().count() + p.filter_shape().count() +
                                      p.out_shape().count()) *
             sizeof(float);
    },
    .error = [](const ConvProblem& p) -> double {
      return std::sqrt(static_cast<double>(conv_terms(p))) * 0x1p-24 + 0x1p-24;
    },
    .build =
        [](const ConvProblem& p, const Variable& first, const Variable& second,
           const Attributes& attributes) {
          return apply_concrete_conv(dnn_conv_op(), p, first, second, attributes);
        },
};

}  // namespace croton
