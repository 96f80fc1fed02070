#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/loop_ir.h"
#include "croton/graph/node.h"

namespace croton {

/// Where an operand of a node lies in memory: extents and strides (elements; 0 repeats, negative runs
/// backwards) from its first element on. All known: a plan is made per signature of shapes.
struct Layout {
  DType dtype = DType::float32;
  Shape shape;
  Shape strides;
};

/// The elements lie side by side in C order. Strides of axes of extent 1 do not count.
CROTON_API bool is_contiguous(const Layout& layout);
/// Of all elements, each counted once.
inline std::size_t bytes_of(const Layout& layout) {
  return static_cast<std::size_t>(layout.shape.count()) * size_of(layout.dtype);
}

/// What stands for one buffer of a kernel when a node runs.
struct StepBuffer {
  enum class Kind : std::uint8_t {
    input,
    output,
    scratch,
    fault,  // one int64, zero before the node runs: a kernel that meets a bad value (a label out of range)
            // makes it non-zero, and the runtime then asks Op::evaluate for the error
  };
  Kind kind = Kind::input;
  std::uint32_t index = 0;  // of the node's inputs or outputs, or of NodeCode::scratch_bytes
};

/// A kernel with its buffers in the order that it declares them (its own scratch buffers included).
struct LoweredKernel {
  Kernel kernel;
  std::vector<StepBuffer> buffers;
};

/// A node in loop IR: kernels that run one after the other.
struct NodeCode {
  std::vector<LoweredKernel> kernels;
  std::vector<std::int64_t> scratch_bytes;
  bool may_fault = false;  // some kernel has a fault buffer
};

/// Lowers a node of a specialised graph whose operands lie as given. Outputs are C-contiguous unless they are
/// computed in place (destroy_map), then they lie as the input does and share its buffer. Nothing for an op
/// that codegen does not know: the runtime then calls a library or the reference evaluator. View nodes
/// (view_map) are never lowered. `threads`: how many threads reductions may count on; equal for equal
/// results.
CROTON_API std::optional<NodeCode> lower(const Node& node, std::span<const Layout> inputs,
                                         std::span<const Layout> outputs, int threads);

/// What code for a GPU depends on. How reductions are cut depends on the multiprocessors, so results are
/// equal on equal GPUs.
struct GpuTraits {
  int multiprocessors = 0;
  int architecture = 80;  ///< compute capability, major * 10 + minor
};

/// The same with loops that suit a GPU (compile_cuda emits them).
CROTON_API std::optional<NodeCode> lower_for_gpu(const Node& node, std::span<const Layout> inputs,
                                                 std::span<const Layout> outputs, const GpuTraits& gpu);

/// What remains of a product of matrices on a GPU that somebody else has computed into the output, in place:
/// to add a gemm's z, where that is a row with a factor of 1, and the activation.
CROTON_API NodeCode lower_product_rest(const Node& product, std::span<const Layout> inputs,
                                       const Layout& output, bool adds_row);

}  // namespace croton
