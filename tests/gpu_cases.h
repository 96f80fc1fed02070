#pragma once

#include <string>
#include <vector>

#include "croton/codegen/lower.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor.h"

namespace croton::test {

/// A node with operands, and what its code for a GPU is compared with: the reference's values.
struct GpuCase {
  Variable node;
  std::vector<Tensor> inputs;
  double rtol = 1e-5, atol = 1e-6;
};

/// Nodes of every kind that codegen lowers, of small and of middling shapes, in every kind of layout.
std::vector<GpuCase> gpu_cases();
/// Every elementwise row on every dtype that it takes.
std::vector<GpuCase> gpu_elementwise_cases();

/// A node lowered for a GPU, with host memory for its operands.
struct GpuRun {
  NodeCode code;
  std::vector<Tensor> inputs, outputs, scratch;
  std::int64_t fault = 0;

  /// Throws when codegen does not know the node.
  GpuRun(const GpuCase& c, int multiprocessors);
  /// The pointers of one kernel of the code.
  std::vector<void*> buffers(const LoweredKernel& kernel);
  /// Fails the test case where the outputs differ from the reference's.
  void check(const GpuCase& c) const;
};

}  // namespace croton::test
