#pragma once

#include <source_location>
#include <string>

#include "croton/graph/variable.h"

namespace croton {

/// An input of the given dtype and shape, whose entries may be `unknown`; an extent of 1 broadcasts.
CROTON_API Variable tensor(DType dtype, const Shape& shape, std::string name = "",
                           std::source_location where = std::source_location::current());
/// An input of that type.
CROTON_API Variable tensor(const TensorType& type, std::string name = "",
                           std::source_location where = std::source_location::current());

// Inputs with unknown extents: scalar (rank 0), vector, matrix, row (extents 1, ?), col (?, 1), tensor3,
// tensor4, tensor5. Without a prefix of floatX; b, w, i, l make int8, int16, int32, int64, f and d float32
// and float64.

#define CROTON_INPUT(name)                          \
  CROTON_API Variable name(std::string called = "", \
                           std::source_location where = std::source_location::current());
#define CROTON_INPUTS(kind) \
  CROTON_INPUT(kind)        \
  CROTON_INPUT(b##kind)     \
  CROTON_INPUT(w##kind)     \
  CROTON_INPUT(i##kind)     \
  CROTON_INPUT(l##kind)     \
  CROTON_INPUT(f##kind)     \
  CROTON_INPUT(d##kind)

CROTON_INPUTS(scalar)
CROTON_INPUTS(vector)
CROTON_INPUTS(matrix)
CROTON_INPUTS(row)
CROTON_INPUTS(col)
CROTON_INPUTS(tensor3)
CROTON_INPUTS(tensor4)
CROTON_INPUTS(tensor5)

#undef CROTON_INPUTS
#undef CROTON_INPUT

}  // namespace croton
