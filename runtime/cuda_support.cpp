#include "croton/runtime/cuda_support.h"

#include <array>

#include "croton/codegen/lower.h"
#include "croton/graph/op.h"
#include "croton/ops/conv.h"
#include "croton/runtime/cuda_library_step.h"

namespace croton {

namespace {

bool is_abstract_convolution(const Op& op) {
  for (const Op* conv : {&conv2d_op(), &conv2d_grad_inputs_op(), &conv2d_grad_weights_op()}) {
    if (conv == &op) return true;
  }
  return false;
}

}  // namespace

bool cuda_supports(const Node& node) {
  const Op& op = node.op();
  if (!op.view_map(node).empty() || has_cuda_library_step(op)) return true;
  if (is_abstract_convolution(op)) return true;  // one implementation is generated
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
