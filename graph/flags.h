#pragma once

#include "croton/graph/dtype.h"
#include "croton/graph/export.h"

namespace croton {

/// The dtype that `floatX` names: what matrix("x") and Tensor::zeros make.
CROTON_API DType float_x();

}  // namespace croton
