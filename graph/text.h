#pragma once

#include <string>

#include "croton/graph/attributes.h"

namespace croton {

/// The value of an attribute in the text form: true, 3, 0.5, half, float32, [1, 2].
CROTON_API std::string to_string(const AttributeValue& value);

}  // namespace croton
