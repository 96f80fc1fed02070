#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "croton/graph/parse_error.h"
#include "croton/graph/variable.h"

namespace croton::expression {

/// What a piece of an expression is worth: nothing, a number, a text, a tensor, a tuple or list. A dictionary
/// is a list of pairs.
struct Value {
  using List = std::vector<Value>;
  std::variant<NoneType, bool, std::int64_t, double, std::string, Variable, List> data;

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
  bool is_none() const { return as<NoneType>() != nullptr; }
  bool is_number() const { return data.index() >= 1 && data.index() <= 3; }
};

/// "an integer", "a text", …: for errors.
std::string_view kind_of(const Value& value);

/// The text of an expression, to complain about places in it.
struct Source {
  std::string_view text;
  std::string_view name;
  [[noreturn]] void fail(std::size_t offset, std::string_view message) const {
    throw_parse_error(name, text, offset, message);
  }
};

/// The value as an operand: numbers are weak; a (nested) list of numbers becomes a constant of int64, of bool
/// or, with one floating number, of floatX. Fails at `offset` where it is none; `whose` starts the message.
Operand to_operand(const Value& value, const Source& source, std::size_t offset, std::string_view whose);

/// Python's operators: numbers are computed at once, tensors by the op of that name.
Value apply_unary(std::string_view symbol, const Value& x, const Source& source, std::size_t offset);
Value apply_binary(std::string_view symbol, const Value& a, const Value& b, const Source& source,
                   std::size_t offset);

}  // namespace croton::expression
