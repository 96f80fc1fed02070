// Reads expressions in Python's operator syntax by recursive descent, building the graph on the way.

#include <fmt/format.h>

#include <array>
#include <limits>
#include <map>
#include <numbers>

#include "croton/graph/nearest_names.h"
#include "croton/ops/expression_call.h"
#include "croton/ops/expression_place.h"
#include "croton/ops/expression_tokens.h"

namespace croton::expression {
namespace {

/// The binary operators from the loosest to the tightest level, without comparisons and `**`.
constexpr std::array<std::array<std::string_view, 5>, 6> levels = {
    {{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%", "@"}}};
constexpr std::array<std::string_view, 6> comparisons = {"<", "<=", ">", ">=", "==", "!="};

class Parser : private TokenStream {
 public:
  using TokenStream::TokenStream;

  void name(std::string name, Value value) { names_.insert_or_assign(std::move(name), std::move(value)); }

  /// Assignments, then the value.
  Value parse_all() {
    for (;;) {
      Value value = parse_assignment_or_tuple();
      if (accept(";") && token_.kind != Token::Kind::end) continue;
      if (token_.kind != Token::Kind::end) fail_unexpected("an operator or the end");
      if (assigned_) source_.fail(token_.offset, "expected an expression behind the assignment");
      return value;
    }
  }

  /// Only a literal: what defaults of parameters are.
  Value parse_default() {
    Value value = parse_value();
    if (token_.kind != Token::Kind::end) fail_unexpected("the end");
    return value;
  }

 private:
  Value parse_assignment_or_tuple() {
    assigned_ = false;
    if (at_assignment()) {
      const std::string target(token_.spelling);
      const std::size_t start = token_.offset;
      if (constant_word(target)) source_.fail(start, fmt::format("'{}' cannot be assigned to", target));
      advance();
      advance();
      Value value = parse_tuple();
      if (auto* variable = std::get_if<Variable>(&value.data);
          variable != nullptr && variable->name().empty())
        variable->set_name(target);
      name(target, value);
      assigned_ = true;
      return value;
    }
    return parse_tuple();
  }

  /// `a` or `a, b`.
  Value parse_tuple() {
    Value first = parse_value();
    if (!at(",")) return first;
    Value::List list{std::move(first)};
    while (accept(",")) {
      if (token_.kind == Token::Kind::end || at(";")) break;
      list.push_back(parse_value());
    }
    return {std::move(list)};
  }

  Value parse_value() {
    const Nesting nesting(*this);
    return parse_comparison();
  }

  /// a < b < c is (a < b) & (b < c).
  Value parse_comparison() {
    Value left = parse_level(0);
    std::optional<Value> result;
    while (token_.kind == Token::Kind::symbol && is_one_of(token_.spelling, comparisons)) {
      const Token symbol = token_;
      advance();
      Value right = parse_level(0);
      Value compared = binary(symbol, left, right);
      if (result) {
        Token both = symbol;
        both.spelling = "&";
        result = binary(both, *result, compared);
      } else {
        result = std::move(compared);
      }
      left = std::move(right);
    }
    return result ? std::move(*result) : std::move(left);
  }

  Value parse_level(std::size_t level) {
    if (level == levels.size()) return parse_unary();
    Value left = parse_level(level + 1);
    while (token_.kind == Token::Kind::symbol && is_one_of(token_.spelling, levels[level])) {
      const Token symbol = token_;
      advance();
      const Value right = parse_level(level + 1);
      left = binary(symbol, left, right);
    }
    return left;
  }

  Value parse_unary() {
    if (!at("-") && !at("+") && !at("~")) return parse_power();
    const Nesting nesting(*this);
    const Token symbol = token_;
    advance();
    const Value operand = parse_unary();
    return with_place(source_, symbol.offset, location(symbol.offset),
                      [&] { return apply_unary(symbol.spelling, operand, source_, symbol.offset); });
  }

  /// -x ** 2 is -(x ** 2), 2 ** -1 is 2 ** (-1), a ** b ** c is a ** (b ** c).
  Value parse_power() {
    const Value base = parse_postfix();
    if (!at("**")) return base;
    const Nesting nesting(*this);
    const Token symbol = token_;
    advance();
    const Value exponent = parse_unary();
    return binary(symbol, base, exponent);
  }

  Value binary(const Token& symbol, const Value& a, const Value& b) {
    return with_place(source_, symbol.offset, location(symbol.offset),
                      [&] { return apply_binary(symbol.spelling, a, b, source_, symbol.offset); });
  }

  Value parse_postfix() {
    Value value = parse_atom();
    for (;;) {
      const std::size_t start = token_.offset;
      if (accept("[")) {
        value = parse_index(value, start);
      } else if (accept(".")) {
        value = parse_member(std::move(value));
      } else if (at("(")) {
        source_.fail(start, value.as<Variable>() != nullptr
                                ? "a tensor cannot be called: x[i, j] indexes it"
                                : fmt::format("{} cannot be called", kind_of(value)));
      } else {
        return value;
      }
    }
  }

  Value parse_atom() {
    const Token token = token_;
    switch (token.kind) {
      case Token::Kind::integer:
        advance();
        return {token.integer};
      case Token::Kind::real:
        advance();
        return {token.real};
      case Token::Kind::text:
        advance();
        return {token.text};
      case Token::Kind::word:
        return parse_word();
      default:
        break;
    }
    if (accept("(")) return parse_parenthesis();
    if (accept("[")) return parse_items("]", "at the end of the list");
    if (accept("{")) return parse_dictionary();
    fail_unexpected("an expression");
  }

  /// (a) is a; (a, b), (a,) and () are tuples.
  Value parse_parenthesis() {
    if (accept(")")) return {Value::List()};
    Value first = parse_value();
    if (accept(")")) return first;
    expect(",", "or ')'");
    Value rest = parse_items(")", "at the end of the tuple");
    auto& list = std::get<Value::List>(rest.data);
    list.insert(list.begin(), std::move(first));
    return rest;
  }

  Value parse_items(std::string_view closing, std::string_view where) {
    Value::List list;
    while (!accept(closing)) {
      list.push_back(parse_value());
      if (accept(closing)) break;
      expect(",", fmt::format("or '{}' {}", closing, where));
    }
    return {std::move(list)};
  }

  Value parse_dictionary() {
    Value::List pairs;
    while (!accept("}")) {
      Value key = parse_value();
      expect(":", "between a key and its value");
      pairs.push_back({Value::List{std::move(key), parse_value()}});
      if (accept("}")) break;
      expect(",", "or '}'");
    }
    return {std::move(pairs)};
  }

  static std::optional<Value> constant_word(std::string_view word) {
    if (word == "true" || word == "True") return Value{true};
    if (word == "false" || word == "False") return Value{false};
    if (word == "none" || word == "None" || word == "newaxis") return Value{none};
    return std::nullopt;
  }

  Value parse_word() {
    const Token word = token_;
    if (auto value = constant_word(word.spelling)) {
      advance();
      return *value;
    }
    advance();
    const auto known = names_.find(word.spelling);
    if (known != names_.end() && !(at("(") && find_function(word.spelling) != nullptr)) return known->second;
    if (at("(")) return parse_call(word, {});
    if (word.spelling == "inf") return {std::numeric_limits<double>::infinity()};
    if (word.spelling == "nan") return {std::numeric_limits<double>::quiet_NaN()};
    if (word.spelling == "pi") return {std::numbers::pi};
    if (parse_dtype(word.spelling) || word.spelling == "floatX") return {std::string(word.spelling)};
    fail_unknown_name(word);
  }

  [[noreturn]] void fail_unknown_name(const Token& word) const {
    fail_if_reserved(word);
    if (find_function(word.spelling) != nullptr)
      source_.fail(word.offset, fmt::format("the function {} is called: {}", word.spelling,
                                            find_function(word.spelling)->signature));
    std::vector<std::string_view> known;
    for (const auto& [name, value] : names_) known.push_back(name);
    std::string declared;
    for (std::string_view name : known) declared += fmt::format("{}{}", declared.empty() ? "" : ", ", name);
    source_.fail(
        word.offset,
        fmt::format("unknown name '{}'{}{}", word.spelling, did_you_mean(word.spelling, known),
                    declared.empty() ? "; no inputs are declared" : " (there are: " + declared + ")"));
  }

  Value parse_call(const Token& name, std::vector<Argument> arguments) {
    const Nesting nesting(*this);
    const Function* function = find_function(name.spelling);
    if (function == nullptr) {
      std::vector<std::string_view> known;
      for (const Function& f : functions()) known.push_back(f.name);
      source_.fail(name.offset,
                   fmt::format("unknown function '{}'{}", name.spelling, offer(name.spelling, known)));
    }
    expect("(", "before the arguments");
    while (!accept(")")) {
      Argument argument{{}, {}, token_.offset};
      if (at_assignment()) {
        argument.keyword = token_.spelling;
        advance();
        advance();
      }
      argument.value = parse_value();
      arguments.push_back(std::move(argument));
      if (accept(")")) break;
      expect(",", "between arguments, or ')'");
    }
    return with_place(source_, name.offset, location(name.offset), [&] {
      return function->run(Call(*function, source_, name.offset, std::move(arguments)));
    });
  }

  /// x.T, x.shape, or x.f(…), which is f(x, …).
  Value parse_member(Value value) {
    const Token member = token_;
    if (member.kind != Token::Kind::word) fail_unexpected("a name behind '.'");
    const std::size_t value_end = member.offset;
    advance();
    if (at("(")) {
      std::vector<Argument> self;
      self.push_back({{}, std::move(value), value_end});
      return parse_call(member, std::move(self));
    }
    static constexpr std::string_view members[] = {"T", "shape", "ndim", "dtype"};
    const Operand operand = to_operand(value, source_, member.offset, fmt::format("'.{}'", member.spelling));
    const Variable& x = operand.variable();
    if (member.spelling == "ndim") return {std::int64_t{x.rank()}};
    if (member.spelling == "dtype") return {std::string(name_of(x.dtype()))};
    if (member.spelling != "T" && member.spelling != "shape") {
      if (const Function* function = find_function(member.spelling))
        source_.fail(member.offset, fmt::format("the function {} is called: x.{}(…)\n  {}", member.spelling,
                                                member.spelling, function->signature));
      source_.fail(member.offset, fmt::format("a tensor has no '{}'{}", member.spelling,
                                              did_you_mean(member.spelling, members)));
    }
    return with_place(source_, member.offset, location(member.offset),
                      [&]() -> Value { return {member.spelling == "T" ? x.T() : x.shape()}; });
  }

  Value parse_index(const Value& value, std::size_t start) {
    const Nesting nesting(*this);
    if (const auto* list = value.as<Value::List>()) return parse_list_index(*list);
    const Operand indexed = to_operand(value, source_, start, "'[…]'");
    std::vector<Subscript> subscripts;
    if (at("]")) fail_unexpected("an index");
    for (;;) {
      subscripts.push_back(parse_subscript());
      if (accept("]")) break;
      expect(",", "between indices, or ']'");
      if (accept("]")) break;
    }
    return with_place(source_, start, location(start),
                      [&]() -> Value { return {indexed.variable().index(subscripts)}; });
  }

  Value parse_list_index(const Value::List& list) {
    const std::size_t offset = token_.offset;
    const Value index = parse_value();
    expect("]", "behind the index");
    const auto* integer = index.as<std::int64_t>();
    if (integer == nullptr)
      source_.fail(offset, fmt::format("a list is indexed by an integer, got {}", kind_of(index)));
    const auto size = static_cast<std::int64_t>(list.size());
    if (*integer < -size || *integer >= size)
      source_.fail(offset, fmt::format("index {} of a list of {}", *integer, size));
    return list[static_cast<std::size_t>(*integer < 0 ? *integer + size : *integer)];
  }

  Subscript parse_subscript() {
    if (accept("...")) return ellipsis;
    std::optional<Operand> bounds[3];
    bool is_slice = false;
    for (std::size_t i = 0;; ++i) {
      if (!at(":") && !at(",") && !at("]")) {
        const std::size_t offset = token_.offset;
        const Value value = parse_value();
        if (i == 0 && !at(":")) {
          if (value.is_none()) return newaxis;
          return index_operand(value, offset);
        }
        if (!value.is_none()) bounds[i] = index_operand(value, offset);
      }
      if (i == 2 || !accept(":")) break;
      is_slice = true;
    }
    if (!is_slice) fail_unexpected("an index");
    return Slice{bounds[0], bounds[1], bounds[2]};
  }

  Operand index_operand(const Value& value, std::size_t offset) const {
    if (value.as<Value::List>() != nullptr)
      source_.fail(offset, "a list is no index: there are integers, slices, none and '...'");
    return to_operand(value, source_, offset, "an index");
  }

  std::map<std::string, Value, std::less<>> names_;
  bool assigned_ = false;
};

}  // namespace

Value literal(std::string_view text) {
  const Source source{text, "default"};
  return Parser(source).parse_default();
}

Value evaluate(const Source& source, std::span<const Variable> variables) {
  Parser parser(source);
  for (const Variable& variable : variables) parser.name(variable.name(), {variable});
  return parser.parse_all();
}

}  // namespace croton::expression
