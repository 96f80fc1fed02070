#include "croton/graph/parse_value.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <vector>

#include "croton/graph/tensor_bytes.h"
#include "croton/graph/text_value.h"

namespace croton {
namespace {

TensorType constant_type(Scanner& scanner) {
  // A scalar needs no brackets.
  const std::string_view word = scanner.peek_word();
  if (const auto dtype = parse_dtype(word)) {
    Scanner ahead = scanner;
    ahead.accept_word(word);
    if (ahead.peek() != '[') {
      scanner = ahead;
      return {*dtype, {}};
    }
  }
  return scanner.expect_type();
}

void parse_listed(Scanner& scanner, const Tensor& tensor) {
  const std::size_t start = scanner.position();
  scanner.expect('(', "or base64 before the value of a constant");
  const std::size_t step = size_of(tensor.dtype());
  auto* bytes = static_cast<std::byte*>(tensor.raw_data());
  std::int64_t count = 0;
  alignas(8) std::byte first[8];
  while (!scanner.accept(')')) {
    if (count > 0) scanner.expect(',', "between elements, or ')'");
    const std::size_t at = scanner.position();
    const std::string_view word = scanner.number_word();
    if (word.empty()) scanner.fail_expected("an element or ')'");
    std::byte* out = count < tensor.size() ? bytes + static_cast<std::size_t>(count) * step : first;
    if (const std::string problem = read_element(word, tensor.dtype(), out); !problem.empty())
      scanner.fail(at, problem);
    ++count;
  }
  if (count == 1 && tensor.size() > 1) {
    for (std::int64_t i = 1; i < tensor.size(); ++i)
      std::memcpy(bytes + static_cast<std::size_t>(i) * step, bytes, step);
  } else if (count != tensor.size()) {
    scanner.fail(start, fmt::format("a tensor of shape {} has {} elements, but {} are listed",
                                    to_string(tensor.shape()), tensor.size(), count));
  }
}

}  // namespace

Tensor parse_tensor(Scanner& scanner, std::int64_t most_bytes) {
  const std::size_t start = scanner.position();
  const TensorType type = constant_type(scanner);
  if (!type.shape.is_known())
    scanner.fail(start, "every extent of a constant is known: '?' cannot stand here");
  if (is_complex(type.dtype))
    scanner.fail(start,
                 "complex constants are not supported: write the real and imaginary parts as two constants");
  const std::optional<std::size_t> bytes = bytes_of(type.dtype, type.shape);
  if (!bytes || *bytes > static_cast<std::size_t>(most_bytes))
    scanner.fail(start, fmt::format("the constant takes more than {} bytes", most_bytes));
  if (!scanner.accept_word("base64")) {
    Tensor tensor = Tensor::empty(type.shape, type.dtype);
    parse_listed(scanner, tensor);
    return tensor;
  }
  const std::size_t text_start = scanner.position();
  const std::string_view text = scanner.expect_plain_string("the base64 text in quotes");
  if (text.size() != (*bytes + 2) / 3 * 4) {
    scanner.fail(text_start, fmt::format("{} needs {} characters of base64, these are {}", to_string(type),
                                         (*bytes + 2) / 3 * 4, text.size()));
  }
  Tensor tensor = Tensor::empty(type.shape, type.dtype);
  auto* out = static_cast<std::byte*>(tensor.raw_data());
  if (!read_base64(text, {out, *bytes}))
    scanner.fail(text_start, "this is not base64 (A-Z a-z 0-9 + /, padded with =)");
  // A bool of any other byte would be undefined behaviour to read.
  if (is_bool(type.dtype)) {
    for (std::size_t i = 0; i < *bytes; ++i) {
      if (std::to_integer<unsigned>(out[i]) > 1) scanner.fail(text_start, "the bytes of a bool are 0 and 1");
    }
  }
  return tensor;
}

AttributeValue parse_plain_attribute(Scanner& scanner) {
  const std::size_t start = scanner.position();
  const char next = scanner.peek();
  if (next == '"') return scanner.expect_string("a text");
  if (scanner.accept('[')) {
    std::vector<std::int64_t> list;
    while (!scanner.accept(']')) {
      if (!list.empty()) scanner.expect(',', "between integers, or ']'");
      list.push_back(scanner.expect_integer("an integer"));
    }
    return list;
  }
  if (is_digit(next) || next == '-' || next == '+' || next == '.') {
    const std::string_view word = scanner.number_word();
    if (word.find_first_not_of("-+0123456789") == std::string_view::npos) {
      std::int64_t value = 0;
      const std::string problem = read_element(word, DType::int64, reinterpret_cast<std::byte*>(&value));
      if (!problem.empty()) scanner.fail(start, problem);
      return value;
    }
    double value = 0;
    const std::string problem = read_element(word, DType::float64, reinterpret_cast<std::byte*>(&value));
    if (!problem.empty()) scanner.fail(start, problem);
    return value;
  }
  const std::string_view word = scanner.peek_word();
  if (word == "nan" || word == "inf") {
    double value = 0;
    const std::string problem =
        read_element(scanner.number_word(), DType::float64, reinterpret_cast<std::byte*>(&value));
    if (!problem.empty()) scanner.fail(start, problem);
    return value;
  }
  if (word.empty()) scanner.fail_expected("the value of the attribute");
  scanner.accept_word(word);
  if (word == "true" || word == "false") return word == "true";
  if (const auto dtype = parse_dtype(word)) return *dtype;
  return std::string(word);
}

}  // namespace croton
