#include "croton/runtime/debugprint_function.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "croton/ops/expression.h"
#include "two_layers.h"

using namespace croton;

TEST_CASE("debugprint of a function shows what runs", "[runtime][debugprint][cpu]") {
  const std::vector<Variable> x =
      parse_declarations("X: fmatrix, W1: fmatrix, b1: fvector, W2: fmatrix, b2: fvector");
  const std::vector<Variable> y = parse_expression(test::two_layers, x);
  const Function f = function({x.begin(), x.end()}, y);
  // While shapes are open: the general graph, where nothing is fused.
  const std::string general = debugprint_text(f);
  CHECK(general.find("Composite") == std::string::npos);
  CHECK(general == debugprint_text(f.graph()));
  const std::vector<Shape> shapes{{200, 2}, {2, 3}, {3}, {3, 2}, {2}};
  const std::string running = test::two_layers_optimized;
  std::ostringstream stream;
  debugprint(f, {{200, 2}, {2, 3}, {3}, {3, 2}, {2}}, {.file = &stream});
  CHECK(stream.str() == running);
  std::vector<Tensor> values;
  for (const Shape& shape : shapes) values.push_back(Tensor::ones(shape));
  f.call_all(values);
  CHECK(debugprint_text(f) == running);  // what ran last
}
