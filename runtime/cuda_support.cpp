#include "croton/runtime/cuda_support.h"

#include "croton/codegen/lower.h"
#include "croton/graph/op.h"
#include "croton/ops/conv_shapes.h"
#include "croton/runtime/cuda_library_step.h"

namespace croton {

bool cuda_supports(const Node& node) {
  const Op& op = node.op();
  if (!op.view_map(node).empty() || has_cuda_library_step(op)) return true;
  if (conv_direction(op)) return true;  // one implementation is generated
  std::vector<Layout> inputs, outputs;
  const auto add = [](std::vector<Layout>& layouts, const TensorType& type) {
    if (!type.shape.is_known()) return false;
    layouts.push_back({type.dtype, type.shape, contiguous_strides(type.shape)});
    return true;
  };
  for (const Variable& input : node.inputs()) {
    if (!add(inputs, input.type())) return false;
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (!add(outputs, node.type(i))) return false;
  }
  constexpr int any_gpu = 132;
  return lower_for_gpu(node, inputs, outputs, any_gpu).has_value();
}

}  // namespace croton
