#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "croton/graph/attributes.h"
#include "croton/graph/variable.h"

namespace croton {

// What the functions that make convolutions do with their arguments.

/// Two floating operands of one dtype; ranks are the op's to check.
std::pair<Variable, Variable> floating_pair(const Operand& a, const Operand& b);
/// x with what the hint says of its shape. Throws ValueError, ShapeError.
Variable with_shape_hint(const Variable& x, const std::optional<Shape>& hint, const char* function,
                         const char* name);
/// The inputs of a gradient: the two tensors and the last entries of the shape, which are spatial.
std::vector<Variable> with_extents(const Variable& a, const Variable& b, const std::vector<Operand>& shape,
                                   std::size_t entries, const char* name);
/// What the first two entries of a gradient's shape say, against what its operands give.
Variable with_leading_extents(const Variable& gradient, const std::vector<Operand>& shape,
                              const char* function, const char* name);
/// Whether a version names an implementation: "dnn", "gemm", "legacy", "fft", "winograd", "c01b", or one of
/// cuDNN's algorithms, "dnn_fft".
bool is_implementation_name(std::string_view name);
/// What the gradients of a convolution of these attributes have: an algorithm of cuDNN is one direction's.
Attributes gradient_attributes(const Attributes& attributes);
/// With the attribute `version`, which may be empty. ValueError for one that is not known.
Attributes with_conv_version(const Attributes& attributes, const std::string& version, const char* function);

}  // namespace croton
