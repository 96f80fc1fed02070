#pragma once

#include <stdexcept>
#include <string>

#include "croton/graph/export.h"

namespace croton {

/// The base of everything Croton throws. The text says what went wrong, where, what was expected and got,
/// what to do.
class CROTON_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

#define CROTON_ERROR(Name, Base)        \
  class CROTON_API Name : public Base { \
   public:                              \
    using Base::Base;                   \
  };

/// A dtype, rank or kind of variable that an operation does not take.
CROTON_ERROR(TypeError, Error)
/// Shapes that do not fit together, at graph time or at run time.
CROTON_ERROR(ShapeError, Error)
/// An index outside an axis.
CROTON_ERROR(IndexError, Error)
/// A value that is not allowed: a negative stride, a NaN learning rate, an unknown option.
CROTON_ERROR(ValueError, Error)
/// An unknown flag, tag or mode, or a value that a flag does not take.
CROTON_ERROR(FlagError, Error)
/// A function needs an input that is not in its list, or a call lacks an argument.
CROTON_ERROR(MissingInputError, Error)
/// A function lists an input twice or one that no output needs.
CROTON_ERROR(UnusedInputError, Error)
/// grad was asked for a variable that the cost does not depend on.
CROTON_ERROR(DisconnectedInputError, Error)
/// grad met an operation that has no gradient with respect to a needed input.
CROTON_ERROR(NullTypeGradError, Error)
/// verify_grad found a gradient that differs from finite differences.
CROTON_ERROR(GradientError, Error)
/// No implementation, device or library for what was asked.
CROTON_ERROR(DeviceError, Error)
/// The host or a device has not the memory that was asked for.
CROTON_ERROR(MemoryError, Error)
/// A graph that cannot be ordered: a cycle, a value used after it was destroyed.
CROTON_ERROR(InconsistencyError, Error)
/// Text that does not parse: the text form, an expression, a flag string. Says line and column.
CROTON_ERROR(ParseError, Error)
/// A file that cannot be read or written, or is not what its name says.
CROTON_ERROR(FileError, Error)
/// A bug in Croton itself.
class CROTON_API InternalError : public Error {
 public:
  explicit InternalError(const std::string& what)
      : Error("internal error in Croton: " + what + " (this is a bug in Croton: please report it)") {}
};
#undef CROTON_ERROR

}  // namespace croton
