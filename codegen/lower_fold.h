#pragma once

#include "croton/codegen/lower_context.h"

namespace croton {

/// One value that is folded over many elements.
struct Fold {
  ScalarOp combine;
  DType dtype;  // of the accumulator
};

/// What changes nothing, to begin with.
ScalarValue first_value(KernelBuilder& b, const Fold& fold);

}  // namespace croton
