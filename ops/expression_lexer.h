#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "croton/ops/expression_value.h"

namespace croton::expression {

struct Token {
  enum class Kind : std::uint8_t { end, word, integer, real, text, symbol };
  Kind kind = Kind::end;
  std::size_t offset = 0;
  std::string_view spelling;  // as it stands in the source
  std::int64_t integer = 0;
  double real = 0;
  std::string text;  // unescaped
};

/// The token that starts at or behind `offset`; blanks and `# comments` are skipped.
Token next_token(const Source& source, std::size_t offset);

/// "'softmax'", "the end": how errors name a token.
std::string describe_token(const Token& token);

}  // namespace croton::expression
