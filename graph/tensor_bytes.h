#pragma once

#include <cstddef>
#include <optional>

#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/graph/shape.h"

namespace croton {

/// The bytes that a tensor of known extents, none negative, takes, or nothing where no address space holds
/// them: what a tensor can be of, and what a reader may make of a file's header. Extents of 0 do not hide the
/// others, which strides are made of.
CROTON_API std::optional<std::size_t> bytes_of(DType dtype, const Shape& shape);

}  // namespace croton
