#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/cudnn_problem.h"
#include "croton/ops/indexing.h"
#include "croton/optimizer/conv_candidate.h"
#include "croton/optimizer/cudnn_error.h"

namespace croton {

namespace {

Support graph_support(const ConvProblem& p) {
  std::string reason;
  return cudnn_problem(p, reason) ? accept() : refuse(reason);
}

/// Copies of operands and result in another order.
std::size_t graph_workspace(const ConvProblem& p) {
  return static_cast<std::size_t>(p.image_shape().count() + p.filter_shape().count() +
                                  p.out_shape().count()) *
         size_of(p.dtype);
}

/// The kernels turned around.
Variable flipped(const ConvProblem& p, const Variable& filters) {
  if (p.kernel.count() == 1) return filters;
  std::vector<Subscript> index{all, all};
  for (int axis = 0; axis < p.rank; ++axis) index.emplace_back(slice(none, none, -1));
  return filters.index(index);
}

/// Few engines know mathematical convolutions: filters, or their gradient, are turned around outside of them.
Variable as_correlation(const ConvProblem& problem, Variable first, Variable second,
                        const Attributes& attributes,
                        Variable (*build)(const ConvProblem&, const Variable&, const Variable&,
                                          const Attributes&)) {
  if (!problem.flip) return build(problem, first, second, attributes);
  ConvProblem p = problem;
  p.flip = false;
  if (p.direction == ConvDirection::forward) second = flipped(p, second);
  if (p.direction == ConvDirection::backward_inputs) first = flipped(p, first);
  const Variable result = build(p, first, second, attributes.with("filter_flip", false));
  return p.direction == ConvDirection::backward_weights ? flipped(p, result) : result;
}

Variable build_graph(const ConvProblem& problem, const Variable& first, const Variable& second,
                     const Attributes& attributes) {
  return as_correlation(
      problem, first, second, attributes,
      [](const ConvProblem& p, const Variable& a, const Variable& b, const Attributes& options) {
        return apply_concrete_conv(dnn_conv_op(), p, a, b, options.with("algo", std::string("graph")));
      });
}

Variable build_b01c(const ConvProblem& problem, const Variable& first, const Variable& second,
                    const Attributes& attributes) {
  return as_correlation(
      problem, first, second, attributes,
      [](const ConvProblem& p, const Variable& a, const Variable& b, const Attributes& options) {
        return conv_in_layout(dnn_b01c_conv_op(), p, a, b, options);
      });
}

/// Tensor cores take factors whose channels lie side by side, by the vector.
std::string b01c_favour(const ConvProblem& p) {
  constexpr std::int64_t vector = 8;
  const bool is_lying = p.layouts.first == ConvLayout::b01c && p.layouts.second == ConvLayout::b01c;
  const bool has_tensor_cores =
      p.dtype == DType::float16 || p.dtype == DType::bfloat16 || allowed_factor_roundoff(p.dtype) > 0;
  const bool fits = p.groups == 1 && p.channels % vector == 0 && p.filters % vector == 0;
  if (!p.device.is_cuda() || !is_lying || !has_tensor_cores || !fits) return {};
  return "and its operands lie channels last, as tensor cores take them";
}

}  // namespace

/// cuDNN's graphs of one convolution, whose engines are more than the algorithms that have names.
const ConvCandidate conv_dnn_graph = {
    .name = "dnn_graph",
    .tag = "conv_dnn",
    .place = ConvPlace::gpu,
    .opt_in = true,
    .support = graph_support,
    .workspace = graph_workspace,
    .error = cudnn_sum_error,
    .build = build_graph,
};

/// The same over tensors whose channels lie last, which the layers around it may hold already.
const ConvCandidate conv_dnn_b01c = {
    .name = "dnn_b01c",
    .tag = "conv_dnn",
    .place = ConvPlace::gpu,
    .opt_in = true,
    .favoured = b01c_favour,
    .support = graph_support,
    .workspace = graph_workspace,
    .error = cudnn_sum_error,
    .build = build_b01c,
};

}  // namespace croton
