#include "croton/ops/nnet.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/verify_grad.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using Catch::Matchers::Contains;
using test::label;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

Tensor noise(std::mt19937& random, const Shape& shape, double scale = 1, DType dtype = DType::float64) {
  Tensor result = Tensor::empty(shape, DType::float64);
  std::normal_distribution<double> normal(0, scale);
  for (std::int64_t i = 0; i < result.size(); ++i) result.data<double>()[i] = normal(random);
  return result.astype(dtype);
}

Tensor labels(std::mt19937& random, std::int64_t rows, std::int64_t classes, DType dtype = DType::int32) {
  Tensor result = Tensor::empty({rows}, DType::int64);
  for (std::int64_t i = 0; i < rows; ++i) {
    result.data<std::int64_t>()[i] = static_cast<std::int64_t>(random() % static_cast<unsigned>(classes));
  }
  return result.astype(dtype);
}

}  // namespace

TEST_CASE("softmax and log_softmax follow their formulas along any axis", "[ops][nnet]") {
  std::mt19937 random(5);
  for (int i = 0; i < test::random_cases(150); ++i) {
    Shape shape;
    for (unsigned k = 0; k <= random() % 3; ++k) shape.push_back(random() % 5);
    const int axis = static_cast<int>(random() % shape.size());
    const DType dtype = random() % 2 ? DType::float32 : DType::float64;
    const Variable x = tensor(dtype, Shape::filled(shape.size(), unknown), "x");
    const Tensor value = noise(random, shape, 3, dtype);
    const std::unordered_map<Variable, Tensor> values = {{x, value}};
    const int given = random() % 2 ? axis : axis - static_cast<int>(shape.size());
    const Variable exponentials = exp(cast(x, DType::float64));
    const Variable total = sum(exponentials, axis, true);
    const Tensor expected = evaluate(exponentials / total, values);
    CHECK(allclose(evaluate(softmax(x, given), values).astype(DType::float64), expected, 1e-5, 1e-7));
    CHECK(
        allclose(evaluate(exp(log_softmax(x, given)), values).astype(DType::float64), expected, 1e-5, 1e-7));
  }
}

TEST_CASE("softmax neither overflows nor loses what is small", "[ops][nnet]") {
  const Variable x = fmatrix("x");
  const auto softmax_of = [&](const Tensor& t) { return evaluate(softmax(x), {{x, t}}).to_vector<float>(); };
  const auto log_softmax_of = [&](const Tensor& t) {
    return evaluate(log_softmax(x), {{x, t}}).to_vector<float>();
  };
  CHECK(softmax_of({{1000.f, 1000.f}}) == std::vector<float>{.5f, .5f});
  CHECK(softmax_of({{-1000.f, -1000.f}}) == std::vector<float>{.5f, .5f});
  CHECK(softmax_of({{0.f, -infinity}}) == std::vector<float>{1, 0});
  CHECK(log_softmax_of({{0.f, -200.f}}) == std::vector<float>{0, -200});
  CHECK(log_softmax_of({{1000.f, 0.f}}) == std::vector<float>{0, -1000});
  for (const float y : softmax_of({{std::nanf(""), 0.f, 1.f}})) CHECK(std::isnan(y));
  CHECK(softmax_of(Tensor::zeros({0, 3}, DType::float32)).empty());
  CHECK(softmax_of(Tensor::zeros({3, 0}, DType::float32)).empty());
}

TEST_CASE("Types, labels and errors of softmax", "[ops][nnet][errors]") {
  CHECK(softmax(imatrix("i")).dtype() == float_x());
  CHECK(label(softmax(matrix("x"))) == "Softmax");
  CHECK(label(softmax(matrix("x"), 0)) == "Softmax{axis=0}");
  CHECK(label(log_softmax(matrix("x"))) == "LogSoftmax");
  CHECK_THROWS_WITH(softmax(matrix("x"), 2),
                    Contains("softmax: axis 2 is outside x (float32[?,?], made at nnet_test.cpp"));
  CHECK_THROWS_AS(softmax(scalar("s")), IndexError);
  const Variable x = tensor(DType::float32, {unknown, 3}, "x");
  CHECK(label(apply_op(softmax_with_bias_op(), {x, vector("b")})) == "SoftmaxWithBias");
  CHECK_THROWS_WITH(apply_op(softmax_with_bias_op(), {x, tensor(DType::float32, {4}, "b")}),
                    Contains("the matrix has 3 columns, the bias 4 entries") && Contains("b (float32[4]"));
  CHECK_THROWS_AS(apply_op(softmax_with_bias_op(), {x, dvector("b")}), TypeError);
}

TEST_CASE("Crossentropies agree with their formulas", "[ops][nnet]") {
  std::mt19937 random(6);
  for (int i = 0; i < test::random_cases(100); ++i) {
    const std::int64_t rows = random() % 5, classes = 1 + random() % 5;
    const DType label_dtype = std::array{DType::int8, DType::uint8, DType::int32, DType::int64}[random() % 4];
    const Variable x = dmatrix("x"), b = dvector("b"), y = tensor(label_dtype, {unknown}, "y");
    const std::unordered_map<Variable, Tensor> values = {{x, noise(random, {rows, classes}, 4)},
                                                         {b, noise(random, {classes})},
                                                         {y, labels(random, rows, classes, label_dtype)}};
    const Variable p = softmax(x + b);
    const Tensor probabilities = evaluate(p, values);
    Tensor expected = Tensor::empty({rows}, DType::float64);
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto hot = values.at(y).astype(DType::int64).data<std::int64_t>()[r];
      expected.data<double>()[r] = -std::log(probabilities.at<double>({r, hot}));
    }
    CHECK(allclose(evaluate(categorical_crossentropy(p, y), values), expected, 1e-12));
    const Ref<Node> fused = make_node(crossentropy_softmax_1hot_with_bias_op(), {x, b, y});
    CHECK(allclose(evaluate(fused->output(0), values), expected, 1e-10));
    CHECK(allclose(evaluate(fused->output(1), values), probabilities, 1e-12));
    CHECK(allclose(evaluate(apply_op(softmax_with_bias_op(), {x, b}), values), probabilities, 1e-12));
    // The same distribution written out.
    const Variable one_hot =
        cast(eq(y.dimshuffle({0, 'x'}), arange(x.shape(1)).dimshuffle({'x', 0})), DType::int8);
    CHECK(allclose(evaluate(categorical_crossentropy(p, one_hot), values), expected, 1e-12));
  }
}

TEST_CASE("Crossentropy takes more axes and fewer", "[ops][nnet]") {
  const Variable p = tensor(DType::float64, {unknown, unknown, 3}, "p"), y = lmatrix("y");
  const Variable loss = categorical_crossentropy(p, y);
  CHECK(loss.rank() == 2);
  const Tensor uniform = Tensor::full({2, 4, 3}, Tensor(0.25), DType::float64);
  CHECK(allclose(evaluate(loss, {{p, uniform}, {y, Tensor::ones({2, 4}, DType::int64)}}),
                 Tensor::full({2, 4}, Tensor(std::log(4.0)), DType::float64)));
  const Variable v = dvector("v"), s = lscalar("s");
  CHECK(evaluate(categorical_crossentropy(v, s), {{v, Tensor({.5, .25})}, {s, Tensor(1)}}).item<double>() ==
        Approx(std::log(4.0)));
}

TEST_CASE("Labels outside the classes are told", "[ops][nnet][errors]") {
  const Variable p = matrix("p"), y = ivector("y"), b = vector("b");
  const Tensor half = Tensor::full({2, 2}, Tensor(.5f), DType::float32);
  for (const int wrong : {-1, 2}) {
    const std::unordered_map<Variable, Tensor> values = {
        {p, half}, {y, Tensor(std::vector<std::int32_t>{0, wrong})}, {b, Tensor({0.f, 0.f})}};
    const auto complaint = Contains("label " + std::to_string(wrong) + " in row 1 is outside 0 to 1");
    CHECK_THROWS_WITH(evaluate(categorical_crossentropy(p, y), values), complaint);
    CHECK_THROWS_WITH(
        evaluate(make_node(crossentropy_softmax_1hot_with_bias_op(), {p, b, y})->output(0), values),
        complaint);
    CHECK_THROWS_AS(evaluate(grad(sum(categorical_crossentropy(p, y)), p), values), IndexError);
  }
  CHECK_THROWS_AS(
      evaluate(categorical_crossentropy(p, y), {{p, half}, {y, Tensor(std::vector<std::int32_t>{0})}}),
      ShapeError);
  CHECK_THROWS_AS(categorical_crossentropy(p, vector("f")), TypeError);
  CHECK_THROWS_AS(categorical_crossentropy(p, lscalar("s")), TypeError);
  CHECK_THROWS_WITH(categorical_crossentropy(tensor(DType::float32, {5, 2}), tensor(DType::int64, {4}, "t")),
                    Contains("one operand has 5 rows, another 4") && Contains("t (int64[4]"));
}

TEST_CASE("Gradients of softmax and crossentropy", "[ops][nnet][grad]") {
  std::mt19937 random(8);
  const Tensor x = noise(random, {4, 3}), b = noise(random, {3});
  const Variable y = constant(labels(random, 4, 3));
  const auto check = [](auto f, const std::vector<Tensor>& points) { verify_grad(f, points); };
  check([](const std::vector<Variable>& v) { return sqr(softmax(v[0], 0)); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(log_softmax(v[0])); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(apply_op(softmax_with_bias_op(), {v[0], v[1]})); },
        {x, b});
  check([&](const std::vector<Variable>& v) { return sqr(categorical_crossentropy(softmax(v[0]), y)); }, {x});
  const auto fused = [&](const std::vector<Variable>& v, std::size_t output) {
    return sqr(make_node(crossentropy_softmax_1hot_with_bias_op(), {v[0], v[1], y})->output(output));
  };
  check([&](const std::vector<Variable>& v) { return fused(v, 0); }, {x, b});
  check([&](const std::vector<Variable>& v) { return fused(v, 1); }, {x, b});
  check([&](const std::vector<Variable>& v) { return fused(v, 0) + sum(fused(v, 1), 1); }, {x, b});
  // Twice: the gradients have gradients.
  check([](const std::vector<Variable>& v) { return grad(sum(sqr(softmax(v[0]))), v[0]); }, {x});
  check([](const std::vector<Variable>& v) { return grad(sum(sqr(log_softmax(v[0]))), v[0]); }, {x});
  check([&](const std::vector<Variable>& v) { return grad(sum(fused(v, 0)), v[0]); }, {x, b});
  check(
      [&](const std::vector<Variable>& v) { return grad(sum(sqr(categorical_crossentropy(v[0], y))), v[0]); },
      {evaluate(softmax(constant(x)))});
}

TEST_CASE("A probability of 0 that is not the label's leaves the second gradient finite",
          "[ops][nnet][grad]") {
  const Variable p = dmatrix("p"), y = constant(Tensor({0}));
  const Variable g = grad(sum(sqr(grad(sum(categorical_crossentropy(p, y)), p))), p);
  CHECK(evaluate(g, {{p, Tensor({{1.0, 0.0}})}}).to_vector<double>() == std::vector<double>{-2, 0});
}

TEST_CASE("Activations at the points where formulas break", "[ops][nnet]") {
  const Variable x = fvector("x");
  const Tensor points({-infinity, -100.f, -1.f, -0.f, 0.f, 1.f, 100.f, infinity});
  const auto of = [&](const Variable& y) { return evaluate(y, {{x, points}}).to_vector<float>(); };
  const auto slope = [&](const Variable& y) {
    return evaluate(grad(sum(y), x), {{x, points.slice(0, 1, 7)}}).to_vector<float>();
  };
  CHECK(of(relu(x)) == std::vector<float>{0, 0, 0, 0, 0, 1, 100, infinity});
  CHECK(slope(relu(x)) == std::vector<float>{0, 0, 0, 0, 1, 1});
  CHECK(slope(leaky_relu(x, 0.5)) == std::vector<float>{.5f, .5f, .5f, .5f, 1, 1});
  CHECK(of(relu(x, 0.25))[2] == -0.25f);
  CHECK(of(elu(x)) == std::vector<float>{-1, -1, std::expm1(-1.f), -0.f, 0, 1, 100, infinity});
  CHECK(slope(elu(x))[5] == 1);
  CHECK(of(selu(x))[6] == Approx(105.07009873));
  CHECK(of(selu(x))[0] == Approx(-1.7580993408));
  CHECK(of(softsign(x))[5] == .5f);
  CHECK(of(hard_sigmoid(x)) == std::vector<float>{0, 0, 0.3f, .5f, .5f, 0.7f, 1, 1});
  const Tensor nan({std::nanf("")});
  for (const Variable& y : {relu(x), leaky_relu(x), elu(x), selu(x), softsign(x)}) {
    CHECK(std::isnan(evaluate(y, {{x, nan}}).to_vector<float>()[0]));
  }
}

TEST_CASE("Binary crossentropies", "[ops][nnet]") {
  const Variable x = dvector("x"), t = dvector("t");
  const std::unordered_map<Variable, Tensor> values = {{x, Tensor({-3.0, 0.0, 2.0})},
                                                       {t, Tensor({0.0, 1.0, 0.3})}};
  CHECK(allclose(evaluate(binary_crossentropy(sigmoid(x), t), values),
                 evaluate(sigmoid_binary_crossentropy(x, t), values), 1e-12));
  const std::unordered_map<Variable, Tensor> far = {{x, Tensor({-800.0, 800.0, 40.0})},
                                                    {t, Tensor({1.0, 1.0, 1.0})}};
  const auto loss = evaluate(sigmoid_binary_crossentropy(x, t), far).to_vector<double>();
  CHECK(loss[0] == 800);
  CHECK(loss[1] == 0);
  CHECK(loss[2] == Approx(std::exp(-40.0)));
  const Variable g = grad(sum(sigmoid_binary_crossentropy(x, t)), x);
  CHECK(allclose(evaluate(g, values), evaluate(sigmoid(x) - t, values), 1e-12));
}
