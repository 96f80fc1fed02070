#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/variable.h"

namespace croton {

/// Inputs from their declarations: "X: matrix, b: vector, w: float32[8,3,?,?]". A type is one of the words of
/// creation.h (lvector, tensor4, …) or a dtype with extents in brackets. `source` is what errors call the
/// text. Throws ParseError with line, column and caret.
CROTON_API std::vector<Variable> parse_declarations(std::string_view text,
                                                    std::string_view source = "inputs");

/// The value of an expression in Python's operator syntax over named variables: `softmax(dot(x, w) + b)`,
/// `x[1:-1, ..., none]`, `conv2d(x, w, border_mode='half', subsample=(2, 2))`, `grad(sum(sqr(x)), x)`.
/// Functions and keywords are the C++ API's; any function may be called as a method of its first argument
/// (`x.sum(axis=0)`), and `.T`, `.shape`, `.ndim`, `.dtype` are there. Numbers are weak, as in C++. Names may
/// be given before: `h = tanh(x); sum(h * h)`. A tuple or list gives several variables.
///
/// Throws ParseError for syntax, unknown names and arguments that do not fit; what the functions themselves
/// throw keeps its type and gets the place in the text.
CROTON_API std::vector<Variable> parse_expression(std::string_view text, std::span<const Variable> variables,
                                                  std::string_view source = "expression");

/// A function that expressions may call.
struct ExpressionFunctionInfo {
  std::string name;
  /// "sum(x, axis=none, keepdims=false)"
  std::string signature;
  std::string doc;
};
/// All of them, by name.
CROTON_API std::vector<ExpressionFunctionInfo> expression_functions();

}  // namespace croton
