
#include "croton/codegen/lower_context.h"
#include "croton/codegen/window_tiles.h"
#include "croton/ops/elementwise.h"

namespace croton {

namespace {

/// Operands: outputs first, then inputs.
std::vector<Layout> operands_of(const LowerContext& context) {
  std::vector<Layout> operands(context.outputs.begin(), context.outputs.end());
  operands.insert(operands.end(), context.inputs.begin(), context.inputs.end());
  return operands;
}

/// Brings the loop to the inside along which most operands are contiguous: a transposed chain runs along its
/// operands' memory, not across it.
void choose_inner_loop(IterationSpace& space) {
  const std::size_t loops = space.loops();
  if (loops < 2) return;
  const auto unit_strides = [&](std::size_t loop) {
    int count = 0;
    for (const auto& strides : space.strides) count += strides[loop] == 1 ? 1 : 0;
    return count;
  };
  // Only a loop that is clearly better: stores that are contiguous are worth more than loads.
  std::size_t best = loops - 1;
  for (std::size_t loop = 0; loop + 1 < loops; ++loop) {
    if (space.extents[loop] >= shortest_vector_row && unit_strides(loop) > unit_strides(best) + 1)
      best = loop;
  }
  if (best == loops - 1) return;
  std::vector<std::size_t> order;
  for (std::size_t loop = 0; loop < loops; ++loop) {
    if (loop != best) order.push_back(loop);
  }
  order.push_back(best);
  space = space.only(order);
}

template <class Compute>  // (values of the inputs) -> values of the outputs
NodeCode lower_map(const LowerContext& context, const std::string& name, const Compute& compute) {
  NodeKernel kernel(context, name);
  KernelBuilder& b = kernel.builder();
  const std::size_t outputs = context.outputs.size();
  const std::vector<Layout> operands = operands_of(context);
  const Shape& shape = context.outputs[0].shape;
  std::optional<IterationSpace> tiled;
  if (context.is_gpu()) tiled = tile_windows(context.node, shape, operands);
  IterationSpace space = tiled ? *tiled : iterate(shape, operands);
  if (!tiled) {
    space.simplify(/*reorder=*/true);
    choose_inner_loop(space);
  }

  std::vector<Buffer> inputs, results;
  for (std::size_t i = 0; i < context.inputs.size(); ++i) inputs.push_back(kernel.input(i));
  for (std::size_t i = 0; i < outputs; ++i) results.push_back(kernel.output(i));
  for_each_element(b, space, [&](std::span<const Index> indices) {
    std::vector<ScalarValue> values;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      values.push_back(b.load(inputs[i], offset_of(space, outputs + i, indices)));
    }
    const std::vector<ScalarValue> computed = compute(b, values);
    for (std::size_t i = 0; i < outputs; ++i) b.store(results[i], offset_of(space, i, indices), computed[i]);
  });
  return kernel.finish();
}

}  // namespace

std::optional<NodeCode> lower_elementwise(const LowerContext& context) {
  return lower_map(context, std::string(context.node.op().name()),
                   [&](KernelBuilder& b, std::span<const ScalarValue> inputs) {
                     return std::vector<ScalarValue>{emit_elementwise(b, context.node, inputs)};
                   });
}

std::optional<NodeCode> lower_composite(const LowerContext& context) {
  const auto& body = *context.node.attributes().get<std::shared_ptr<const Subgraph>>("body");
  return lower_map(context, "composite", [&](KernelBuilder& b, std::span<const ScalarValue> inputs) {
    return emit_body(b, body, inputs);
  });
}

}  // namespace croton
