#include "croton/codegen/lower.h"

#include <mutex>
#include <unordered_map>
#include <utility>

#include "croton/codegen/lower_context.h"
#include "croton/codegen/own_lowering.h"
#include "croton/ops/blas.h"
#include "croton/ops/composite.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/indexing.h"
#include "croton/ops/nnet.h"
#include "croton/ops/pool.h"
#include "croton/ops/random.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

// A launch on a GPU takes 4 KiB of pointers.
constexpr std::size_t most_gpu_operands = 500;

struct Lowering {
  const Op& (*op)();
  LowerFunction lower;
};

/// The only registration: which function lowers which op. Elementwise rows and reductions are families of
/// their own.
constexpr Lowering lowerings[] = {
    {composite_op, lower_composite},
    {composite_reduce_op, lower_composite_reduce},
    {argmax_op, lower_arg_reduce},
    {argmin_op, lower_arg_reduce},
    {contiguous_op, lower_copy},
    {softmax_op, lower_softmax},
    {log_softmax_op, lower_softmax},
    {softmax_with_bias_op, lower_softmax},
    {crossentropy_softmax_1hot_with_bias_op, lower_softmax},
    {softmax_grad_op, lower_softmax_grad},
    {crossentropy_categorical_1hot_op, lower_crossentropy},
    {crossentropy_categorical_1hot_grad_op, lower_crossentropy_grad},
    {crossentropy_softmax_1hot_with_bias_dx_op, lower_crossentropy_grad},
    {pool_2d_op, lower_pool},
    {pool_2d_grad_op, lower_pool_grad},
    {max_pool_places_op, lower_max_pool_places},
    {max_pool_places_grad_op, lower_max_pool_places_grad},
    {inc_subtensor_op, lower_inc_subtensor},
    {join_op, lower_join},
    {alloc_op, lower_alloc},
    {arange_op, lower_arange},
    {make_vector_op, lower_make_vector},
    {random_bits_op, lower_random},
    {random_uniform_op, lower_random},
    {random_normal_op, lower_random},
    {direct_conv_op, lower_conv},
    {dnn_conv_op, lower_conv},  // where the library has no algorithm
    {c01b_conv_op, lower_c01b_conv},
    {corr_mm_op, lower_corr_mm},
    {winograd_conv_op, lower_transformed_conv},
    {fft_conv_op, lower_transformed_conv},
    {dot_op, lower_matmul},
    {dot22_op, lower_matmul},
    {dot22_scalar_op, lower_matmul},
    {gemm_op, lower_matmul},
    {gemv_op, lower_matmul},
    {ger_op, lower_matmul},
};

/// Of ops that are defined outside of the library.
struct Registered {
  std::mutex mutex;
  std::unordered_map<const Op*, LowerNode> lowerings;
};

Registered& registered() {
  static Registered& instance = *new Registered;
  return instance;
}

LowerNode registered_lowering(const Op& op) {
  const std::lock_guard guard(registered().mutex);
  const auto entry = registered().lowerings.find(&op);
  return entry == registered().lowerings.end() ? nullptr : entry->second;
}

}  // namespace

void register_lowering(const Op& op, LowerNode lower) {
  const std::lock_guard guard(registered().mutex);
  registered().lowerings.insert_or_assign(&op, std::move(lower));
}

bool is_contiguous(const Layout& layout) {
  if (layout.shape.count() == 0) return true;
  const Shape expected = contiguous_strides(layout.shape);
  for (std::size_t i = 0; i < layout.shape.size(); ++i) {
    if (layout.shape[i] != 1 && layout.strides[i] != expected[i]) return false;
  }
  return true;
}

namespace {

std::optional<NodeCode> lower(const LowerContext& context) {
  const Node& node = context.node;
  if (as_elementwise(node.op()) != nullptr) return lower_elementwise(context);
  if (as_reduce(node.op()) != nullptr) return lower_reduce(context);
  for (const Lowering& lowering : lowerings) {
    if (&lowering.op() == &node.op()) return lowering.lower(context);
  }
  return std::nullopt;
}

}  // namespace

std::optional<NodeCode> lower(const Node& node, std::span<const Layout> inputs,
                              std::span<const Layout> outputs, int threads) {
  if (const LowerNode own = registered_lowering(node.op())) return own(node, inputs, outputs, threads);
  return lower({node, inputs, outputs, threads, {}});
}

std::optional<NodeCode> lower_for_gpu(const Node& node, std::span<const Layout> inputs,
                                      std::span<const Layout> outputs, const GpuTraits& gpu) {
  if (inputs.size() + outputs.size() > most_gpu_operands) return std::nullopt;
  return lower({node, inputs, outputs, 1, gpu});
}

}  // namespace croton
