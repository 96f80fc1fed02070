// "X: matrix, w: float32[8,3,?,?]": the inputs of an expression.

#include <fmt/format.h>

#include <array>
#include <optional>
#include <unordered_set>

#include "croton/graph/nearest_names.h"
#include "croton/graph/node.h"
#include "croton/graph/parse_scanner.h"
#include "croton/ops/expression.h"

namespace croton {
namespace {

struct Kind {
  std::string_view name;
  Shape shape;
};
const std::array<Kind, 8>& kinds() {
  static const std::array<Kind, 8> list = {{{"scalar", {}},
                                            {"vector", {unknown}},
                                            {"matrix", {unknown, unknown}},
                                            {"row", {1, unknown}},
                                            {"col", {unknown, 1}},
                                            {"tensor3", Shape::filled(3, unknown)},
                                            {"tensor4", Shape::filled(4, unknown)},
                                            {"tensor5", Shape::filled(5, unknown)}}};
  return list;
}

std::optional<DType> prefix_dtype(char prefix) {
  switch (prefix) {
    case 'b':
      return DType::int8;
    case 'w':
      return DType::int16;
    case 'i':
      return DType::int32;
    case 'l':
      return DType::int64;
    case 'f':
      return DType::float32;
    case 'd':
      return DType::float64;
    default:
      return std::nullopt;
  }
}

std::optional<TensorType> kind_type(std::string_view word) {
  for (const Kind& kind : kinds()) {
    if (word == kind.name) return TensorType{float_x(), kind.shape};
    const auto dtype = word.empty() ? std::nullopt : prefix_dtype(word[0]);
    if (dtype && word.substr(1) == kind.name) return TensorType{*dtype, kind.shape};
  }
  return std::nullopt;
}

TensorType parse_type(Scanner& scanner) {
  const std::size_t start = scanner.position();
  const std::string_view word = scanner.peek_word();
  if (const auto type = kind_type(word)) {
    scanner.accept_word(word);
    return *type;
  }
  if (word.empty() || parse_dtype(word)) return scanner.expect_type();
  std::vector<std::string> owned;
  for (const Kind& kind : kinds()) {
    owned.emplace_back(kind.name);
    for (char prefix : std::string_view("bwilfd")) owned.push_back(prefix + std::string(kind.name));
  }
  for (int i = 0; i < dtype_count; ++i) owned.emplace_back(name_of(static_cast<DType>(i)));
  const std::vector<std::string_view> names(owned.begin(), owned.end());
  scanner.fail(start, fmt::format("unknown type '{}'{} (matrix, lvector, float32[8,3,?,?] …)", word,
                                  did_you_mean(word, names)));
}

}  // namespace

std::vector<Variable> parse_declarations(std::string_view text, std::string_view source) {
  Scanner scanner(text, source);
  std::vector<Variable> variables;
  std::unordered_set<std::string> seen;
  SourceLocation where;
  where.file = intern(std::string(source));
  while (!scanner.at_end()) {
    const std::size_t start = scanner.position();
    where.line = scanner.line();
    const std::string name(scanner.expect_word("the name of an input"));
    if (!seen.insert(name).second) scanner.fail(start, fmt::format("{} is declared twice", name));
    scanner.expect(':', "and a type behind the name");
    variables.emplace_back(Node::make_input(parse_type(scanner), name, where));
    if (!scanner.accept(',') && !scanner.at_end()) scanner.fail_expected("',' between declarations");
  }
  return variables;
}

}  // namespace croton
