#include <fmt/format.h>

#include <array>
#include <utility>

#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/cudnn_algorithm.h"
#include "croton/ops/cudnn_problem.h"
#include "croton/optimizer/conv_candidate.h"
#include "croton/optimizer/cudnn_error.h"

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

Support support_on_gpu(const ConvProblem& p) {
  std::string reason;
  return cudnn_problem(p, reason) ? accept() : refuse(reason);
}

/// Copies of the operands in blocked formats.
std::size_t dnn_workspace(const ConvProblem& p) {
  return static_cast<std::size_t>(p.image_shape().count() + p.filter_shape().count() +
                                  p.out_shape().count()) *
         sizeof(float);
}

/// `algorithm` in the library's step (without: by measurement), in the precision of the flag where the
/// convolution says none.
Variable cudnn_node(const ConvProblem& p, const Variable& first, const Variable& second,
                    Attributes attributes, std::string_view algorithm) {
  if (algorithm != "time_on_shape_change") attributes = attributes.with("algo", std::string(algorithm));
  const std::string precision =
      attributes.get_or<std::string>("compute_precision", config().get("dnn.conv.precision"));
  if (precision != "as_input_f32") attributes = attributes.with("compute_precision", precision);
  return apply_concrete_conv(dnn_conv_op(), p, first, second, attributes);
}

/// What the flags say, which is for all convolutions: where the library refuses it, another.
Variable build_by_flags(const ConvProblem& p, const Variable& first, const Variable& second,
                        const Attributes& attributes) {
  if (p.device.is_host()) return apply_concrete_conv(dnn_conv_op(), p, first, second, attributes);
  const std::string algorithm = cudnn_algorithm_flag(p.direction);
  const bool is_named = cudnn_algorithm_number(p.direction, algorithm).has_value();
  return cudnn_node(p, first, second, is_named ? attributes.with("or_none", true) : attributes, algorithm);
}

constexpr std::size_t algorithms = 8, selections = 4;

template <std::size_t i>
std::string_view algorithm_name() {
  return i < algorithms ? cudnn_algorithm_names()[i] : cudnn_selection_names()[i - algorithms];
}

template <std::size_t i>
Support algorithm_support(const ConvProblem& p) {
  const std::string_view name = algorithm_name<i>();
  // A selection chooses among the others: as a candidate it says nothing that they do not.
  if (i >= algorithms && cudnn_algorithm_in(p.version) != name)
    return refuse(fmt::format("only where a convolution asks for it (version dnn_{})", name));
  if (i < algorithms) {
    if (std::string reason = cudnn_algorithm_refusal(p, name); !reason.empty()) return refuse(reason);
  }
  return support_on_gpu(p);
}

template <std::size_t i>
double algorithm_error(const ConvProblem& p) {
  return i < algorithms ? cudnn_algorithm_error(p, algorithm_name<i>()) : cudnn_error(p);
}

template <std::size_t i>
ConvCandidate algorithm_candidate() {
  static const std::string name = "dnn_" + std::string(algorithm_name<i>());
  return {.name = name,
          .tag = conv_dnn.tag,
          .place = ConvPlace::gpu,
          .opt_in = true,
          .support = algorithm_support<i>,
          .workspace = dnn_workspace,
          .error = algorithm_error<i>,
          .build = [](const ConvProblem& p, const Variable& first, const Variable& second,
                      const Attributes& attributes) {
            return cudnn_node(p, first, second, attributes, algorithm_name<i>());
          }};
}

template <std::size_t... i>
std::array<ConvCandidate, sizeof...(i)> algorithm_candidates(std::index_sequence<i...>) {
  return {algorithm_candidate<i>()...};
}

}  // namespace

std::span<const ConvCandidate> cudnn_algorithm_candidates() {
  static const auto candidates = algorithm_candidates(std::make_index_sequence<algorithms + selections>());
  return candidates;
}

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
    .workspace = dnn_workspace,
    .error = [](const ConvProblem& p) -> double {
      return p.device.is_cuda() ? cudnn_error(p) : library_sum_error(p);
    },
    .build = build_by_flags,
};

}  // namespace croton
