#include <algorithm>
#include <array>
#include <string>

#include "croton/graph/flags.h"
#include "croton/ops/blas.h"
#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/passes.h"

namespace croton {

void mark_precision(FunctionGraph& graph) {
  const Precision precision = config().precision();
  if (precision == Precision::ieee) return;
  const std::array<const Op*, 8> rounded = {&dot_op(),  &dot22_op(), &dot22_scalar_op(), &gemm_op(),
                                            &gemv_op(), &ger_op(),   &dnn_conv_op(),     &dnn_b01c_conv_op()};
  for (Node* node : graph.topological_order()) {
    const bool is_marked = node->type().device.is_cuda() && node->type().dtype == DType::float32 &&
                           std::ranges::find(rounded, &node->op()) != rounded.end();
    if (is_marked)
      graph.set_attributes(
          *node,
          node->attributes().with("precision", std::string(precision == Precision::tf32 ? "tf32" : "bf16")),
          "precision");
  }
}

}  // namespace croton
