#include "croton/runtime/library_step.h"

#include "croton/ops/blas.h"
#include "croton/ops/conv_implementations.h"
#include "croton/runtime/dnn_convolution.h"
#include "croton/runtime/dnn_corr_mm.h"
#include "croton/runtime/dnn_product.h"

namespace croton {

namespace {

struct Provider {
  const Op& (*op)();
  std::unique_ptr<LibraryStep> (*make)(const Node&, std::span<const Layout>, std::span<const Layout>);
};

/// The only registration: which library computes which op.
constexpr Provider providers[] = {
    {dot_op, make_dnn_product},          {dot22_op, make_dnn_product}, {dot22_scalar_op, make_dnn_product},
    {gemm_op, make_dnn_product},         {gemv_op, make_dnn_product},  {corr_mm_op, make_corr_mm},
    {dnn_conv_op, make_dnn_convolution},
};

}  // namespace

std::unique_ptr<LibraryStep> make_library_step(const Node& node, std::span<const Layout> inputs,
                                               std::span<const Layout> outputs) {
  for (const Provider& provider : providers) {
    if (&provider.op() == &node.op()) return provider.make(node, inputs, outputs);
  }
  return nullptr;
}

}  // namespace croton
