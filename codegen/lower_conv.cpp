#include "croton/codegen/lower_conv_lanes.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

ConvTuning read_tuning(const Attributes& attributes) {
  ConvTuning tuning;
  if (attributes.contains("unroll_batch")) tuning.unroll_batch = attributes.get<std::int64_t>("unroll_batch");
  if (attributes.contains("unroll_kern")) tuning.unroll_kern = attributes.get<std::int64_t>("unroll_kern");
  if (attributes.contains("unroll_patch")) tuning.unroll_patch = attributes.get<bool>("unroll_patch");
  tuning.openmp = attributes.get_or<bool>("openmp", true);
  return tuning;
}

/// The kernels of a convolution walk contiguous operands: others are copied first.
LoweredKernel copy_operand(const Layout& from, std::size_t input, std::size_t scratch) {
  KernelBuilder b("contiguous_operand");
  const Buffer source = b.input("from", from.dtype, -1);
  const Buffer goal = b.output("to", from.dtype, from.shape.count());
  const std::vector<Layout> operands{{from.dtype, from.shape, contiguous_strides(from.shape)}, from};
  IterationSpace space = iterate(from.shape, operands);
  space.simplify(/*reorder=*/false);
  for_each_element(b, space, [&](std::span<const Index> indices) {
    b.store(goal, offset_of(space, 0, indices), b.load(source, offset_of(space, 1, indices)));
  });
  return {b.build(),
          {{StepBuffer::Kind::input, static_cast<std::uint32_t>(input)},
           {StepBuffer::Kind::scratch, static_cast<std::uint32_t>(scratch)}}};
}

NodeCode lower_contiguous(const LowerContext& context) {
  const ConvProblem problem = concrete_conv_problem(context.node);
  const ConvTuning tuning = read_tuning(context.node.attributes());
  if (problem.direction == ConvDirection::backward_weights) {
    return lower_conv_weights_batch_lanes(context, problem, tuning);
  }
  return lower_conv_batch_lanes(context, correlation_of(problem), tuning);
}

}  // namespace

std::optional<NodeCode> lower_conv(const LowerContext& context) {
  if (concrete_conv_problem(context.node).rank != 2) return std::nullopt;
  std::vector<Layout> inputs(context.inputs.begin(), context.inputs.end());
  for (Layout& input : inputs) input.strides = contiguous_strides(input.shape);
  NodeCode code = lower_contiguous({context.node, inputs, context.outputs, context.threads});
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Layout& given = context.inputs[i];
    if (given.strides == inputs[i].strides || given.shape.count() == 0) continue;
    const std::size_t scratch = code.scratch_bytes.size();
    code.scratch_bytes.push_back(given.shape.count() * static_cast<std::int64_t>(size_of(given.dtype)));
    for (LoweredKernel& kernel : code.kernels) {
      for (StepBuffer& buffer : kernel.buffers) {
        if (buffer.kind == StepBuffer::Kind::input && buffer.index == i) {
          buffer = {StepBuffer::Kind::scratch, static_cast<std::uint32_t>(scratch)};
        }
      }
    }
    code.kernels.insert(code.kernels.begin(), copy_operand(given, i, scratch));
  }
  return code;
}

}  // namespace croton
