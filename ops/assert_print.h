#pragma once

#include <string>
#include <vector>

#include "croton/graph/op.h"

namespace croton {

/// x itself. Whenever a function computes it, a line for each attribute goes to the message sink:
/// "message value = [1. 2.]". Attributes: value, shape, dtype, min, max, mean, sum, nan (how many there are),
/// infinite. Never merged with another print nor left out; the gradient passes through. ValueError for
/// another attribute.
CROTON_API Variable print_op(const Operand& x, std::string message = "",
                             const std::vector<std::string>& attributes = {"value"});

/// x itself, if every element of every condition is true (not zero); otherwise a call that computes it throws
/// AssertionError with the message. `optimizer_including=remove_all_assert` leaves them out. The gradient
/// passes through.
CROTON_API Variable assert_op(const Operand& x, const std::vector<Variable>& conditions, std::string message);
CROTON_API Variable assert_op(const Operand& x, const Variable& condition, std::string message);

/// `print`(x) {message, attributes}: attributes with ':' between.
CROTON_API const Op& print_value_op();
/// `assert`(x, c0, …) {message}.
CROTON_API const Op& assertion_op();

}  // namespace croton
