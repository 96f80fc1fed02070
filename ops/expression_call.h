#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/ops/expression_value.h"
#include "croton/ops/shape_ops.h"

namespace croton::expression {

/// One parameter of a function: `axis=none` has a default, `*more` takes what is left over as a list.
struct Parameter {
  std::string name;
  std::optional<Value> otherwise;
  bool rest = false;
};

/// An argument as written.
struct Argument {
  std::string keyword;  // empty for a positional one
  Value value;
  std::size_t offset;
};

class Call;

/// A function that expressions can call.
struct Function {
  std::string name;
  std::vector<Parameter> parameters;
  std::string signature;
  std::string doc;
  std::function<Value(const Call&)> run;
};

/// One call with its arguments sorted to the parameters.
class Call {
 public:
  /// Fails with the function's name and what it takes where the arguments do not fit.
  Call(const Function& function, const Source& source, std::size_t offset, std::vector<Argument> arguments);

  const Value& value(std::string_view parameter) const { return entry(parameter).value; }
  bool is_none(std::string_view parameter) const { return value(parameter).is_none(); }

  Operand operand(std::string_view parameter) const;
  Variable variable(std::string_view parameter) const;
  bool boolean(std::string_view parameter) const;
  std::int64_t integer(std::string_view parameter) const;
  std::optional<std::int64_t> optional_integer(std::string_view parameter) const;
  double real(std::string_view parameter) const;
  std::string text(std::string_view parameter) const;
  /// A list of texts; one text is a list of one.
  std::vector<std::string> texts(std::string_view parameter) const;
  std::optional<DType> dtype(std::string_view parameter) const;
  /// One integer, a list of them, or none for all.
  Axes axes(std::string_view parameter) const;
  /// A list of integers; one integer is a list of one.
  std::vector<std::int64_t> integers(std::string_view parameter) const;
  std::vector<int> ints(std::string_view parameter) const;
  /// A list of tensors and numbers (or one).
  std::vector<Operand> operands(std::string_view parameter) const;
  std::vector<Variable> variables(std::string_view parameter) const;
  /// Extents, integers or symbolic scalars, or an integer vector.
  SymbolicShape shape(std::string_view parameter) const;
  /// A shape whose entries may be none or -1 for unknown; nothing for none.
  std::optional<Shape> optional_shape(std::string_view parameter) const;

  /// "conv2d: subsample takes a list of integers, got a text"
  [[noreturn]] void fail(std::string_view parameter, std::string_view expected) const;
  [[noreturn]] void fail_because(std::string_view parameter, std::string_view message) const;

 private:
  struct Entry {
    Value value;
    std::size_t offset = 0;
    bool given = false;
  };
  void bind(std::vector<Argument> arguments);
  const Entry& entry(std::string_view parameter) const;
  std::vector<Value> items(std::string_view parameter) const;
  std::string who(std::string_view parameter) const;

  const Function& function_;
  const Source& source_;
  std::size_t offset_;
  std::vector<Entry> entries_;
};

/// did_you_mean, which knows what other libraries call our functions and keywords.
std::string offer(std::string_view name, std::span<const std::string_view> candidates);

/// The function of that name, or null.
const Function* find_function(std::string_view name);
/// All of them, by name.
const std::vector<Function>& functions();

/// Rows for the table of functions: "sum(x, axis=none, keepdims=false)", what it does, how.
struct FunctionRow {
  std::string_view signature;
  std::string_view doc;
  Value (*run)(const Call&);
};
std::vector<FunctionRow> tensor_functions();
std::vector<FunctionRow> network_functions();
std::vector<FunctionRow> gradient_functions();

/// The value of an expression over these variables; of a literal (a default in a signature).
Value evaluate(const Source& source, std::span<const Variable> variables);
Value literal(std::string_view text);

}  // namespace croton::expression
