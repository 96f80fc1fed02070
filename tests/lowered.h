#pragma once

#include <vector>

#include "croton/codegen/lower.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor.h"

namespace croton::test {

/// The outputs of a node's generated code for these inputs (of any strides); empty where codegen does not
/// know the op or the code raised its fault. Scratch memory starts as NaN; what lies behind each output is
/// checked to be untouched. With the flag device set to a GPU a function computes them there.
std::vector<Tensor> run_lowered(const Node& node, const std::vector<Tensor>& inputs, int threads = 2);

/// Runs a node both ways and fails the test case where dtypes, shapes or values differ (rtol, atol as
/// allclose, NaN equals NaN).
void check_lowered(const Node& node, const std::vector<Tensor>& inputs, double rtol = 1e-5,
                   double atol = 1e-6);

/// Standard normal numbers of that dtype (integers: rounded 3 times that), the same for the same seed.
Tensor random_tensor(const Shape& shape, DType dtype, unsigned seed);

/// The same values laid out, by `kind` % 4: as they are, transposed, as every second element or as every
/// second row of something larger.
Tensor laid_out(const Tensor& tensor, unsigned kind);

}  // namespace croton::test
