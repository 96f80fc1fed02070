#include "croton/runtime/cuda_support.h"

#include "croton/codegen/lower.h"
#include "croton/graph/op.h"
#include "croton/ops/conv_shapes.h"
#include "croton/runtime/cuda_library_step.h"

namespace croton {

bool cuda_supports(const Node& node) {
  const Op& op = node.op();
  if (!op.view_map(node).empty()) return true;
  if (conv_direction(op)) return true;  // one implementation is generated
  std::vector<Layout> inputs, outputs;
  const auto add = [](std::vector<Layout>& layouts, const TensorType& type) {
    if (!type.shape.is_known()) return false;
    layouts.push_back({type.dtype, type.shape, contiguous_strides(type.shape)});
    return true;
  };
  bool is_known = true;
  for (const Variable& input : node.inputs()) is_known = is_known && add(inputs, input.type());
  for (std::size_t i = 0; i < node.output_count(); ++i) is_known = is_known && add(outputs, node.type(i));
  constexpr GpuTraits any_gpu{.multiprocessors = 132};
  if (is_known && lower_for_gpu(node, inputs, outputs, any_gpu).has_value()) return true;
  return has_cuda_library_step(op);  // last: it waits until the library is open
}

}  // namespace croton
