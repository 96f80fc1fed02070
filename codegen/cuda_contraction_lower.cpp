#include <fmt/format.h>

#include <algorithm>

#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/lower_product.h"
#include "croton/graph/error.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

/// What keeps the accuracy of the dtype.
ContractionArithmetic exact_arithmetic(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return ContractionArithmetic::fp64;
    case DType::float16:
      return ContractionArithmetic::fp16;
    case DType::bfloat16:
      return ContractionArithmetic::bf16;
    default:
      return ContractionArithmetic::tf32x3;
  }
}

LoweredKernel kernel_of(CudaContraction c, std::string name) {
  LoweredKernel lowered;
  Kernel& kernel = lowered.kernel;
  kernel.name = std::move(name);
  const auto add = [&](const char* name, DType dtype, std::int64_t count, BufferInfo::Role role) {
    kernel.buffers.push_back({name, dtype, count, role});
  };
  add("gathered", c.dtype, c.gathered_count, BufferInfo::Role::in);
  add("packed", c.dtype, c.packed_count, BufferInfo::Role::in);
  add("result", c.dtype, c.result_count, BufferInfo::Role::out);
  add("tiles", DType::int32, c.packed_bytes() / 4, BufferInfo::Role::inout);
  add("partial", DType::int32, c.partial_bytes() / 4, BufferInfo::Role::inout);
  if (c.finish.addend >= 0) add("addend", c.dtype, c.result_count, BufferInfo::Role::in);
  if (c.finish.alpha >= 0) add("alpha", c.dtype, 1, BufferInfo::Role::in);
  if (c.finish.beta >= 0) add("beta", c.dtype, 1, BufferInfo::Role::in);
  kernel.contraction = std::make_shared<const CudaContraction>(std::move(c));
  return lowered;
}

}  // namespace

std::optional<NodeCode> lower_product_on_tensor_cores(const LowerContext& context, const Product& product) {
  std::optional<CudaContraction> c = contraction_of(product, ContractionArithmetic::tf32x3);
  if (!c) return std::nullopt;
  cut_contraction(*c, context.gpu);
  NodeCode code;
  code.scratch_bytes = {16, std::max<std::int64_t>(16, c->partial_bytes())};
  const auto gathered = static_cast<std::uint32_t>(c->gathered_input);
  LoweredKernel lowered = kernel_of(std::move(*c), context.node.op().name() + "_tf32x3");
  const auto input = [](int i) { return StepBuffer{StepBuffer::Kind::input, static_cast<std::uint32_t>(i)}; };
  lowered.buffers = {{StepBuffer::Kind::input, gathered},
                     input(gathered == static_cast<std::uint32_t>(product.b) ? product.a : product.b),
                     {StepBuffer::Kind::output, 0},
                     {StepBuffer::Kind::scratch, 0},
                     {StepBuffer::Kind::scratch, 1}};
  for (const int operand : {product.z, product.alpha, product.beta}) {
    if (operand >= 0) lowered.buffers.push_back(input(operand));
  }
  code.kernels.push_back(std::move(lowered));
  return code;
}

/// Attributes beside those of the convolution: `arithmetic` (ContractionArithmetic by name), `cut` (the cut
/// that the estimate puts behind so many others), `folded` (1: folded_contraction_of).
std::optional<NodeCode> lower_corr_mm(const LowerContext& context) {
  if (!context.is_gpu()) return std::nullopt;  // a library's, there
  for (const Layout& input : context.inputs) {
    // The caller copies what lies otherwise and asks again.
    if (!is_contiguous(input)) return std::nullopt;
  }
  const ConvProblem problem = concrete_conv_problem(context.node);
  const Attributes& attributes = context.node.attributes();
  ContractionArithmetic arithmetic = exact_arithmetic(problem.dtype);
  if (attributes.contains("arithmetic")) {
    const std::string name = attributes.get<std::string>("arithmetic");
    const auto said = parse_contraction_arithmetic(name);
    if (!said) throw ValueError(fmt::format("no arithmetic of contractions is called '{}'", name));
    arithmetic = *said;
  }
  const bool folds = attributes.get_or<std::int64_t>("folded", 0) != 0;
  std::optional<CudaContraction> c =
      folds ? folded_contraction_of(problem, arithmetic) : contraction_of(problem, arithmetic);
  if (!c) return std::nullopt;
  cut_contraction(*c, context.gpu, static_cast<int>(attributes.get_or<std::int64_t>("cut", 0)));

  const auto gathered = static_cast<std::uint32_t>(c->gathered_input);
  NodeCode code;
  code.scratch_bytes = {std::max<std::int64_t>(16, c->packed_bytes()),
                        std::max<std::int64_t>(16, c->partial_bytes())};
  LoweredKernel lowered =
      kernel_of(std::move(*c), "conv_" + to_string(problem.direction) + "_" + to_string(arithmetic));
  lowered.buffers = {{StepBuffer::Kind::input, gathered},
                     {StepBuffer::Kind::input, 1 - gathered},
                     {StepBuffer::Kind::output, 0},
                     {StepBuffer::Kind::scratch, 0},
                     {StepBuffer::Kind::scratch, 1}};
  code.kernels.push_back(std::move(lowered));
  return code;
}

}  // namespace croton
