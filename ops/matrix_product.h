#pragma once

#include "croton/graph/tensor.h"

namespace croton {

/// The reference x @ y of two matrices of one dtype, as `out`: floating ones summed in double, integers in
/// their own dtype (they wrap around), bools by or and and. `out` is the operands' dtype or, for floating
/// ones, any other.
Tensor matrix_product(const Tensor& x, const Tensor& y, DType out);

/// b * z + a * product in double, rounded to `out`; without z the second term alone. `product` is float64.
Tensor combine(double b, const Tensor& z, double a, const Tensor& product, DType out);

}  // namespace croton
