#pragma once

#include <string>

#include "croton/graph/error.h"

namespace croton {

class Plan;
class Step;

/// Throws the exception being handled again, of the same type, its text completed with what a user needs to
/// find the fault: the node, the shapes, strides and (few) values of its inputs, the line that made it. The
/// flag exception_verbosity=high adds the graph of the node and the storage map: what lies where. `slots`:
/// the pointers of the call.
[[noreturn]] void rethrow_from_step(const Step& step, const Plan& plan, void* const* slots,
                                    const std::string& function_name);

/// Throws the exception being handled again, of the same type, with `context` behind its text.
[[noreturn]] void rethrow_with(const std::string& context);

}  // namespace croton
