#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "croton/graph/source_location.h"
#include "croton/ops/expression_lexer.h"

namespace croton::expression {

template <class List>
bool is_one_of(std::string_view word, const List& list) {
  return !word.empty() && std::find(list.begin(), list.end(), word) != list.end();
}

/// The tokens of an expression from left to right, one of them the next; what a parser is built on.
class TokenStream {
 public:
  explicit TokenStream(const Source& source);

 protected:
  /// Counts how deep brackets and signs stand inside each other while it lives: the parser calls itself for
  /// each level. Fails beyond what a person writes.
  class Nesting {
   public:
    explicit Nesting(TokenStream& tokens);
    ~Nesting() { --tokens_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    TokenStream& tokens_;
  };

  void advance();
  bool at(std::string_view symbol) const {
    return token_.kind == Token::Kind::symbol && token_.spelling == symbol;
  }
  bool accept(std::string_view symbol);
  void expect(std::string_view symbol, std::string_view where);
  /// `name =`: an assignment or a keyword argument.
  bool at_assignment() const {
    return token_.kind == Token::Kind::word && next_token(source_, end_).spelling == "=";
  }
  [[noreturn]] void fail_unexpected(std::string_view expected) const;
  /// Fails for Python's words that are no part of expressions.
  void fail_if_reserved(const Token& word) const;
  /// The line of the text, for nodes.
  SourceLocation location(std::size_t offset) const;

  const Source& source_;
  Token token_;  // the next one

 private:
  const char* file_;
  std::vector<std::size_t> line_ends_;
  std::size_t end_ = 0;  // behind the token
  int depth_ = 0;
};

}  // namespace croton::expression
