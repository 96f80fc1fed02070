#pragma once

#include <vector>

#include "croton/graph/op.h"

namespace croton {

// The products. dot is what users write; the BLAS forms are made by the optimizer. Operands of one node have
// one dtype. In-place marks (attribute "inplace"): gemm over z, gemv over y, ger over A. Products of two
// matrices may have the attribute "activation", which the optimizer gives them: what is done to each element.

/// `dot`(x, y): x and y of rank 1 or 2; the last axis of x with the first of y.
CROTON_API const Op& dot_op();
/// `dot22`(x, y) = x @ y for floating matrices.
CROTON_API const Op& dot22_op();
/// `dot22_scalar`(x, y, a) = a * x @ y.
CROTON_API const Op& dot22_scalar_op();
/// `gemm`(z, a, x, y, b) = b * z + a * x @ y; a and b are 0-d. z broadcasts where its static extent is 1 —
/// then it cannot be overwritten.
CROTON_API const Op& gemm_op();
/// `gemv`(y, a, A, x, b) = b * y + a * A @ x.
CROTON_API const Op& gemv_op();
/// `ger`(A, a, x, y) = A + a * x y^T.
CROTON_API const Op& ger_op();
/// The attribute activation is "relu": elements up to 0 become 0, NaN stays.
CROTON_API bool has_relu(const Node& product);

/// NumPy's dot: 1-d and 2-d operands in all pairs; a scalar multiplies; beyond, the last axis of x with the
/// last but one of y.
CROTON_API Variable dot(const Operand& x, const Operand& y);
/// The sum over pairs of axes: x's `x_axes` with y's `y_axes`; the rest of x's axes, then the rest of y's.
CROTON_API Variable tensordot(const Operand& x, const Operand& y, const std::vector<int>& x_axes,
                              const std::vector<int>& y_axes);
/// The last `axes` axes of x with the first ones of y.
CROTON_API Variable tensordot(const Operand& x, const Operand& y, int axes = 2);
/// x y^T, operands flattened.
CROTON_API Variable outer(const Operand& x, const Operand& y);

}  // namespace croton
