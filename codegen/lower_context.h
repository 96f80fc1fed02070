#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/iteration_space.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/lower.h"
#include "croton/graph/subgraph.h"

namespace croton {

/// A node to lower, as lower() was given it.
struct LowerContext {
  const Node& node;
  std::span<const Layout> inputs;
  std::span<const Layout> outputs;
  int threads = 1;
  GpuTraits gpu;  // no multiprocessors: for the CPU

  bool is_gpu() const { return gpu.multiprocessors > 0; }
};

using LowerFunction = std::optional<NodeCode> (*)(const LowerContext& context);

/// A kernel whose buffers stand for the operands of a node: an output that is computed over an input shares
/// its buffer. Buffers are declared when they are first asked for.
class NodeKernel {
 public:
  NodeKernel(const LowerContext& context, std::string name);

  KernelBuilder& builder() { return builder_; }
  Buffer input(std::size_t i);
  Buffer output(std::size_t i);
  Buffer scratch(DType dtype, std::int64_t count);
  /// Raises the node's fault where `bad` (bool) holds.
  void fault_if(ScalarValue bad);
  /// The kernel and its buffers, as the only kernel of a NodeCode.
  NodeCode finish();

 private:
  Buffer declare(StepBuffer::Kind kind, std::size_t index);

  const LowerContext& context_;
  KernelBuilder builder_;
  std::vector<std::pair<int, int>> in_place_;
  std::vector<std::optional<Buffer>> inputs_, outputs_;
  std::vector<StepBuffer> buffers_;
  std::vector<std::int64_t> scratch_bytes_;
  std::optional<Buffer> fault_;
};

/// A 0-d constant as a value.
ScalarValue emit_constant(KernelBuilder& b, const Tensor& value);
/// One elementwise node on values (as loads give them: float32 for float16 and bfloat16, rounded again).
ScalarValue emit_elementwise(KernelBuilder& b, const Node& node, std::span<const ScalarValue> inputs);
/// The outputs of the body of a Composite.
std::vector<ScalarValue> emit_body(KernelBuilder& b, const Subgraph& body,
                                   std::span<const ScalarValue> inputs);

// One function an op or family of ops; lower.cpp lists which is which.
std::optional<NodeCode> lower_elementwise(const LowerContext& context);
std::optional<NodeCode> lower_composite(const LowerContext& context);
std::optional<NodeCode> lower_reduce(const LowerContext& context);
std::optional<NodeCode> lower_composite_reduce(const LowerContext& context);
std::optional<NodeCode> lower_arg_reduce(const LowerContext& context);
std::optional<NodeCode> lower_copy(const LowerContext& context);
std::optional<NodeCode> lower_softmax(const LowerContext& context);
std::optional<NodeCode> lower_softmax_grad(const LowerContext& context);
std::optional<NodeCode> lower_crossentropy(const LowerContext& context);
std::optional<NodeCode> lower_crossentropy_grad(const LowerContext& context);
std::optional<NodeCode> lower_pool(const LowerContext& context);
std::optional<NodeCode> lower_pool_grad(const LowerContext& context);
std::optional<NodeCode> lower_max_pool_places(const LowerContext& context);
std::optional<NodeCode> lower_max_pool_places_grad(const LowerContext& context);
std::optional<NodeCode> lower_inc_subtensor(const LowerContext& context);
std::optional<NodeCode> lower_join(const LowerContext& context);
std::optional<NodeCode> lower_alloc(const LowerContext& context);
std::optional<NodeCode> lower_arange(const LowerContext& context);
std::optional<NodeCode> lower_make_vector(const LowerContext& context);
std::optional<NodeCode> lower_random(const LowerContext& context);
std::optional<NodeCode> lower_conv(const LowerContext& context);
std::optional<NodeCode> lower_c01b_conv(const LowerContext& context);
std::optional<NodeCode> lower_transformed_conv(const LowerContext& context);
std::optional<NodeCode> lower_matmul(const LowerContext& context);
std::optional<NodeCode> lower_corr_mm(const LowerContext& context);

}  // namespace croton
