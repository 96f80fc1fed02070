#include "croton/ops/pp.h"

#include <catch2/catch.hpp>

#include "croton/graph/error.h"
#include "croton/ops/expression.h"

using namespace croton;

namespace {

std::string math(std::string_view expression) {
  return pp(
      parse_expression(expression, parse_declarations("x: matrix, w: matrix, b: vector, n: lscalar")).at(0));
}

}  // namespace

TEST_CASE("pp prints expressions as mathematics", "[ops][pp]") {
  CHECK(math("tanh(dot(x, w) + b)") == "tanh((dot(x, w) + InplaceDimShuffle{x,0}(b)))");
  CHECK(math("-x ** 2 + 1.5") == "((-(x ** 2.0)) + 1.5)");
  CHECK(math("maximum(n, 3)") == "maximum(n, 3)");
  CHECK(math("x + w < [[1, 2]]") == "((x + w) < Cast{float32}(TensorConstant{[[1 2]]}))");
  CHECK_THROWS_AS(pp(Variable()), TypeError);
}

TEST_CASE("pp names long values that are used again", "[ops][pp]") {
  std::string expression = "h = x";
  for (int i = 0; i < 200; ++i) expression += "; h = h * h";
  const std::string text = math(expression + "; h");
  CHECK(text.starts_with("t0 = ((((x * x) * (x * x)) *"));
  CHECK(text.size() < 40000);
}
