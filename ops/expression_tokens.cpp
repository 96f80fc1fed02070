#include "croton/ops/expression_tokens.h"

#include <fmt/format.h>

#include <array>

namespace croton::expression {
namespace {

constexpr int deepest_nesting = 200;

}  // namespace

TokenStream::TokenStream(const Source& source) : source_(source), file_(intern(std::string(source.name))) {
  for (std::size_t i = 0; i < source.text.size(); ++i) {
    if (source.text[i] == '\n') line_ends_.push_back(i);
  }
  advance();
}

TokenStream::Nesting::Nesting(TokenStream& tokens) : tokens_(tokens) {
  if (++tokens.depth_ > deepest_nesting)
    tokens.source_.fail(tokens.token_.offset,
                        fmt::format("the expression is nested more than {} deep", deepest_nesting));
}

void TokenStream::advance() {
  token_ = next_token(source_, end_);
  end_ = token_.offset + token_.spelling.size();
}

bool TokenStream::accept(std::string_view symbol) {
  if (!at(symbol)) return false;
  advance();
  return true;
}

void TokenStream::expect(std::string_view symbol, std::string_view where) {
  if (!accept(symbol)) fail_unexpected(fmt::format("'{}' {}", symbol, where));
}

void TokenStream::fail_unexpected(std::string_view expected) const {
  fail_if_reserved(token_);
  source_.fail(token_.offset, fmt::format("expected {}, got {}", expected, describe_token(token_)));
}

void TokenStream::fail_if_reserved(const Token& word) const {
  static constexpr std::array<std::string_view, 3> logical = {"and", "or", "not"};
  static constexpr std::array<std::string_view, 5> other = {"if", "else", "is", "in", "lambda"};
  if (word.kind != Token::Kind::word) return;
  if (is_one_of(word.spelling, logical))
    source_.fail(word.offset, fmt::format("there is no '{}' for tensors: use & | ~", word.spelling));
  if (is_one_of(word.spelling, other))
    source_.fail(word.offset,
                 fmt::format("'{}' is not part of expressions (switch(c, a, b) chooses)", word.spelling));
}

SourceLocation TokenStream::location(std::size_t offset) const {
  SourceLocation where;
  where.file = file_;
  const auto line = std::lower_bound(line_ends_.begin(), line_ends_.end(), offset) - line_ends_.begin();
  where.line = static_cast<std::uint32_t>(line) + 1;
  return where;
}

}  // namespace croton::expression
