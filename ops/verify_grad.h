#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

struct VerifyGradOptions {
  /// Random projections of the output to try.
  int n_tests = 2;
  std::uint64_t seed = 1;
  /// The step of the differences; by default 1e-7, 3e-4, 1e-1 for float64, float32, 16-bit inputs.
  std::optional<double> eps = {};
  /// A gradient is wrong where both errors are above; by default 1e-4, 1e-2, 5e-2.
  std::optional<double> abs_tol = {};
  std::optional<double> rel_tol = {};
};

/// Compares grad with one-sided differences at `points`. `function` gets an input variable a point and
/// answers one floating output of any shape. GradientError names the worst element; ValueError where a value
/// is not finite. Everything is computed by the reference evaluator.
CROTON_API void verify_grad(const std::function<Variable(const std::vector<Variable>&)>& function,
                            const std::vector<Tensor>& points, const VerifyGradOptions& options = {});

}  // namespace croton
