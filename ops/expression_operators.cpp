// Python's operators in expressions: on numbers as Python computes them, on tensors as nodes.

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>

#include "croton/ops/blas.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/expression_value.h"

namespace croton::expression {
namespace {

struct OperatorRow {
  std::string_view symbol;
  std::string_view op;
};
constexpr std::array<OperatorRow, 19> binary_operators = {{{"+", "add"},
                                                           {"-", "sub"},
                                                           {"*", "mul"},
                                                           {"/", "true_div"},
                                                           {"//", "floor_div"},
                                                           {"%", "mod"},
                                                           {"**", "pow"},
                                                           {"@", "dot"},
                                                           {"&", "and_"},
                                                           {"|", "or_"},
                                                           {"^", "xor_"},
                                                           {"<<", "lshift"},
                                                           {">>", "rshift"},
                                                           {"<", "lt"},
                                                           {"<=", "le"},
                                                           {">", "gt"},
                                                           {">=", "ge"},
                                                           {"==", "eq"},
                                                           {"!=", "neq"}}};

std::int64_t integer_of(const Value& v) {
  const auto* boolean = v.as<bool>();
  return boolean != nullptr ? std::int64_t{*boolean} : *v.as<std::int64_t>();
}
double real_of(const Value& v) {
  const auto* real = v.as<double>();
  return real != nullptr ? *real : static_cast<double>(integer_of(v));
}

template <class T>
std::optional<bool> compare(std::string_view symbol, T a, T b) {
  if (symbol == "<") return a < b;
  if (symbol == "<=") return a <= b;
  if (symbol == ">") return a > b;
  if (symbol == ">=") return a >= b;
  if (symbol == "==") return a == b;
  if (symbol == "!=") return a != b;
  return std::nullopt;
}

/// The result of an operation on integers; nothing where it does not fit into 64 bits.
std::optional<std::int64_t> integer_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (;; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return std::nullopt;
    if (exponent <= 1) return result;
    if (__builtin_mul_overflow(base, base, &base)) return std::nullopt;
  }
}

class NumberOperation {
 public:
  NumberOperation(std::string_view symbol, const Source& source, std::size_t offset)
      : symbol_(symbol), source_(source), offset_(offset) {}

  Value apply(const Value& a, const Value& b) const {
    if (a.as<double>() != nullptr || b.as<double>() != nullptr) return reals(real_of(a), real_of(b));
    if (a.as<bool>() != nullptr && b.as<bool>() != nullptr &&
        (symbol_ == "&" || symbol_ == "|" || symbol_ == "^")) {
      const bool x = *a.as<bool>(), y = *b.as<bool>();
      return {symbol_ == "&" ? x && y : symbol_ == "|" ? x || y : x != y};
    }
    return integers(integer_of(a), integer_of(b));
  }

 private:
  Value reals(double a, double b) const {
    if (const auto result = compare(symbol_, a, b)) return {*result};
    if (symbol_ == "+") return {a + b};
    if (symbol_ == "-") return {a - b};
    if (symbol_ == "*") return {a * b};
    if (symbol_ == "**") return {std::pow(a, b)};
    if (symbol_ == "/" || symbol_ == "//" || symbol_ == "%") {
      if (b == 0) source_.fail(offset_, "division by zero");
      if (symbol_ == "/") return {a / b};
      if (symbol_ == "//") return {std::floor(a / b)};
      const double rest = std::fmod(a, b);
      return {rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest};
    }
    source_.fail(offset_, fmt::format("'{}' does not take floating numbers", symbol_));
  }

  Value integers(std::int64_t a, std::int64_t b) const {
    if (const auto result = compare(symbol_, a, b)) return {*result};
    std::int64_t result = 0;
    bool overflow = false;
    if (symbol_ == "+") {
      overflow = __builtin_add_overflow(a, b, &result);
    } else if (symbol_ == "-") {
      overflow = __builtin_sub_overflow(a, b, &result);
    } else if (symbol_ == "*") {
      overflow = __builtin_mul_overflow(a, b, &result);
    } else if (symbol_ == "/" || symbol_ == "//" || symbol_ == "%") {
      return divide(a, b);
    } else if (symbol_ == "**") {
      if (b < 0) return reals(static_cast<double>(a), static_cast<double>(b));
      const auto power = integer_power(a, b);
      overflow = !power;
      result = power.value_or(0);
    } else if (symbol_ == "&") {
      result = a & b;
    } else if (symbol_ == "|") {
      result = a | b;
    } else if (symbol_ == "^") {
      result = a ^ b;
    } else if (symbol_ == "<<" || symbol_ == ">>") {
      if (b < 0 || b > 63) source_.fail(offset_, "a shift is 0 to 63 bits");
      result = symbol_ == "<<" ? static_cast<std::int64_t>(static_cast<std::uint64_t>(a) << b) : a >> b;
      overflow = symbol_ == "<<" && result >> b != a;
    } else {
      source_.fail(offset_, fmt::format("'{}' takes tensors, got two numbers", symbol_));
    }
    if (overflow) source_.fail(offset_, "the result does not fit into 64 bits");
    return {result};
  }

  Value divide(std::int64_t a, std::int64_t b) const {
    if (b == 0) source_.fail(offset_, "division by zero");
    if (symbol_ == "/") return {static_cast<double>(a) / static_cast<double>(b)};
    if (b == -1) {
      std::int64_t negative = 0;
      if (symbol_ == "%") return {std::int64_t{0}};
      if (__builtin_sub_overflow(std::int64_t{0}, a, &negative))
        source_.fail(offset_, "the result does not fit into 64 bits");
      return {negative};
    }
    const std::int64_t rest = a % b;
    const bool other_side = rest != 0 && (rest < 0) != (b < 0);
    return {symbol_ == "//" ? a / b - (other_side ? 1 : 0) : rest + (other_side ? b : 0)};
  }

  std::string_view symbol_;
  const Source& source_;
  std::size_t offset_;
};

}  // namespace

Value apply_binary(std::string_view symbol, const Value& a, const Value& b, const Source& source,
                   std::size_t offset) {
  if (a.is_number() && b.is_number()) return NumberOperation(symbol, source, offset).apply(a, b);
  const std::string whose = fmt::format("'{}'", symbol);
  const Operand x = to_operand(a, source, offset, whose), y = to_operand(b, source, offset, whose);
  if (symbol == "@") return {dot(x, y)};
  for (const OperatorRow& row : binary_operators) {
    if (row.symbol == symbol) return {apply_elementwise(row.op, {x, y})};
  }
  source.fail(offset, fmt::format("unknown operator {}", whose));
}

Value apply_unary(std::string_view symbol, const Value& x, const Source& source, std::size_t offset) {
  if (x.is_number()) {
    if (symbol == "~") return NumberOperation("^", source, offset).apply(x, {std::int64_t{-1}});
    if (symbol == "+") return x;
    if (const auto* real = x.as<double>()) return {-*real};
    return NumberOperation("-", source, offset).apply({std::int64_t{0}}, x);
  }
  const Operand operand = to_operand(x, source, offset, fmt::format("'{}'", symbol));
  if (symbol == "+") return {operand.variable()};
  return {apply_elementwise(symbol == "~" ? "invert" : "neg", {operand})};
}

}  // namespace croton::expression
