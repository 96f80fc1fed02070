#pragma once

#include "croton/graph/error.h"

namespace croton {

#define CROTON_ERROR(Name, Base)        \
  class CROTON_API Name : public Base { \
   public:                              \
    using Base::Base;                   \
  };

/// An assertion in a graph does not hold for the values of a call.
CROTON_ERROR(AssertionError, Error)
/// NanGuardMode met a NaN, an infinity or a very large number.
CROTON_ERROR(NanGuardError, AssertionError)
/// DebugMode found something wrong with a compiled function; the types below say what.
CROTON_ERROR(DebugModeError, Error)
/// A rewrite put something else in the place of a value.
CROTON_ERROR(BadOptimization, DebugModeError)
/// A kernel, library call or schedule gives another value than the reference evaluator, or not always the
/// same one.
CROTON_ERROR(BadThunkOutput, DebugModeError)
/// A step wrote where it must not: over an input, or outside of its buffers.
CROTON_ERROR(BadDestroyMap, DebugModeError)
/// A value shares memory with another one that its op does not name.
CROTON_ERROR(BadViewMap, DebugModeError)
/// A value does not have the type that its op promised.
CROTON_ERROR(InvalidValueError, DebugModeError)
/// The gradient that an op gives differs from finite differences.
CROTON_ERROR(BadGradient, DebugModeError)
/// Rewriting the same graph twice went two ways.
CROTON_ERROR(StochasticOrder, DebugModeError)
/// A call allocated memory for tensors where the flag allocations forbids it.
CROTON_ERROR(SteadyStateError, Error)
#undef CROTON_ERROR

}  // namespace croton
