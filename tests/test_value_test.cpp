#include <catch2/catch.hpp>
#include <cmath>

#include "croton/croton.h"
#include "messages.h"

using namespace croton;
using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("test values are computed while expressions are built", "[graph][check]") {
  Variable x = matrix("x"), w = matrix("w");
  x.set_test_value(Tensor::ones({2, 3}));
  w.set_test_value(Tensor::ones({4, 5}));
  CHECK_FALSE(exp(x).test_value().defined());  // off by default
  const ConfigScope scope({{"compute_test_value", "raise"}});
  const Variable y = exp(x) * 2;
  CHECK(y.test_value().at<float>({1, 2}) == Approx(2 * std::exp(1.0)));
  CHECK_THROWS_AS(dot(x, w), ShapeError);
  CHECK_THROWS_WITH(dot(x, w), Contains("with test values, in dot, made at test_value_test.cpp:") &&
                                   Contains("test value of shape (4, 5)"));
  // What is checked where values lie outside of an axis is told at the user's line, too.
  CHECK_THROWS_AS(x(5), IndexError);
  // Compiling makes nodes of its own, whose inputs have no test values.
  CHECK(function({x}, sum(y))(Tensor::zeros({2, 3})).item<float>() == 12);
  const SharedVariable s = shared(Tensor{1.f, 2.f}, "s");
  CHECK(equal((s + 1).test_value(), Tensor{2.f, 3.f}));
  CHECK(grad(sum(sqr(x)), x).test_value().at<float>({0, 0}) == 2);
}

TEST_CASE("an input without a test value is reported as the flag says", "[graph][check]") {
  const Variable unknown_value = matrix("u");
  {
    const ConfigScope scope({{"compute_test_value", "raise"}});
    CHECK_THROWS_AS(exp(unknown_value), ValueError);
    CHECK_THROWS_WITH(exp(unknown_value),
                      StartsWith("no test value for operand 0 of exp, made at test_value_test.cpp:"));
  }
  {
    const ConfigScope scope({{"compute_test_value", "ignore"}});
    CHECK_FALSE(exp(unknown_value).test_value().defined());
  }
  const ConfigScope scope({{"compute_test_value", "warn"}});
  const test::Messages messages;
  exp(unknown_value);
  REQUIRE(messages.list.size() == 1);
  CHECK_THAT(messages.list[0], StartsWith("no test value for operand 0 of exp"));
}

TEST_CASE("a test value has the variable's type", "[graph][check]") {
  Variable x = matrix("x"), fixed = tensor(DType::float32, {2, unknown}, "fixed");
  CHECK_THROWS_AS(x.set_test_value(Tensor{1.f}), TypeError);
  CHECK_THROWS_AS(x.set_test_value(Tensor::zeros({2, 2}, DType::float64)), TypeError);
  CHECK_THROWS_AS(fixed.set_test_value(Tensor::zeros({3, 2})), ShapeError);
  CHECK(fixed.set_test_value(Tensor::zeros({2, 7})).test_value().shape() == Shape{2, 7});
  CHECK(equal(Variable(constant(Tensor{3.f})).test_value(), Tensor{3.f}));
}
