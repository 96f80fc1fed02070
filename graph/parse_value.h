#pragma once

#include <cstdint>

#include "croton/graph/attributes.h"
#include "croton/graph/parse_scanner.h"
#include "croton/graph/tensor.h"

namespace croton {

/// Reads what constant_text() writes. Refuses a tensor of more than `most_bytes`.
Tensor parse_tensor(Scanner& scanner, std::int64_t most_bytes);

/// Reads the value of an attribute that is no graph: true, 3, 0.5, half, "a text", float32, [1, 2].
AttributeValue parse_plain_attribute(Scanner& scanner);

}  // namespace croton
