#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// The value of a variable that follows from constants and static shapes alone (a constant, the shape of a
/// tensor whose extents are known, small expressions of such), for use in Op::infer. Looks at a bounded
/// number of nodes and only at small integer tensors.
CROTON_API std::optional<Tensor> static_value(const Variable& variable);
/// The same of an integer scalar.
CROTON_API std::optional<std::int64_t> static_integer(const Variable& scalar);
/// The entries of an integer vector, one by one; nothing where the length is not known.
CROTON_API std::optional<std::vector<std::optional<std::int64_t>>> static_integers(const Variable& vector);

}  // namespace croton
