#pragma once

#include "croton/runtime/function.h"

namespace croton {

/// When the program ends, sends the function's profile to the message sink (what the flag profile asks for).
void report_at_exit(const Function& function);

}  // namespace croton
