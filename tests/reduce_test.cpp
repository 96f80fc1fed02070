#include "croton/ops/reduce.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/verify_grad.h"
#include "nodes.h"
#include "random_cases.h"
#include "tensor_values.h"

using namespace croton;
using test::label;
using namespace croton::test;

namespace {

/// A reduction by definition: the elements that fall together, as doubles, in C order.
template <class F>
Tensor by_definition(const Tensor& x, const std::vector<std::int64_t>& axes, DType out, F&& fold) {
  Shape kept, reduced;
  std::vector<bool> is_reduced(x.shape().size());
  for (const std::int64_t axis : axes) is_reduced[static_cast<std::size_t>(axis)] = true;
  for (std::size_t i = 0; i < x.shape().size(); ++i) (is_reduced[i] ? reduced : kept).push_back(x.shape()[i]);
  const Tensor wide = x.astype(DType::float64), result = Tensor::empty(kept, DType::float64);
  for_each_index(kept, [&](const Shape& outer) {
    std::vector<double> elements;
    for_each_index(reduced, [&](const Shape& inner) {
      Shape at;
      std::size_t o = 0, r = 0;
      for (std::size_t i = 0; i < is_reduced.size(); ++i)
        at.push_back(is_reduced[i] ? inner[r++] : outer[o++]);
      elements.push_back(wide.at<double>(at));
    });
    result.at<double>(outer) = fold(elements);
  });
  return result.astype(out);
}

double sum_of(const std::vector<double>& v) {
  double total = 0;
  for (const double x : v) total += x;
  return total;
}
double product_of(const std::vector<double>& v) {
  double total = 1;
  for (const double x : v) total *= x;
  return total;
}

std::vector<std::int64_t> random_axes(int rank, std::mt19937_64& generator) {
  std::vector<std::int64_t> axes;
  for (int i = 0; i < rank; ++i) {
    if (generator() % 2) axes.push_back(i);
  }
  return axes;
}

Axes as_axes(const std::vector<std::int64_t>& axes) {
  return Axes(std::vector<int>(axes.begin(), axes.end()));
}

}  // namespace

TEST_CASE("Reductions of random tensors", "[ops][reduce]") {
  std::mt19937_64 generator(7);
  for (int trial = 0; trial < random_cases(400); ++trial) {
    auto dtype = static_cast<DType>(generator() % 13);
    Shape shape;
    for (std::size_t i = generator() % 5; i > 0; --i)
      shape.push_back(static_cast<std::int64_t>(1 + generator() % 5));
    const auto axes = random_axes(shape.rank(), generator);
    Tensor value = random_tensor(shape, dtype, generator, -3, 4);
    if (shape.rank() > 1)
      value = random_tensor(Shape(shape), dtype, generator, -3, 4).transpose().copy().transpose();
    const Variable x = tensor(dtype, Shape::filled(shape.size(), unknown));
    const bool floating = is_floating(dtype);
    const DType wide = floating ? dtype : is_unsigned_integer(dtype) ? DType::uint64 : DType::int64;
    const auto check = [&](const Variable& y, DType out, auto&& fold, double tolerance) {
      INFO(label(y) << " of " << to_string(TensorType{dtype, shape}));
      const Tensor got = evaluate(y, {{x, value}}), expected = by_definition(value, axes, out, fold);
      CHECK(got.dtype() == out);
      REQUIRE(got.shape() == expected.shape());
      CHECK(allclose(got, expected, tolerance, 0, true));
    };
    const auto over = [&](const Variable& y) { return y.node()->is_apply(); };
    if (axes.empty()) continue;
    const Axes list = as_axes(axes);
    REQUIRE(over(sum(x, list)));
    const double rounding = floating ? 1e-2 * (size_of(dtype) == 2) + 1e-6 : 0;
    check(sum(x, list), wide, sum_of, rounding);
    if (floating) check(prod(x, list), wide, product_of, rounding);
    check(max(x, list), dtype, [](auto& v) { return *std::max_element(v.begin(), v.end()); }, 0);
    check(min(x, list), dtype, [](auto& v) { return *std::min_element(v.begin(), v.end()); }, 0);
    check(all(x, list), DType::bool_, [](auto& v) { return std::count(v.begin(), v.end(), 0.0) == 0; }, 0);
    check(
        any(x, list), DType::bool_,
        [](auto& v) { return static_cast<std::size_t>(std::count(v.begin(), v.end(), 0.0)) < v.size(); }, 0);
    check(
        argmax(x, list), DType::int64,
        [](auto& v) { return std::max_element(v.begin(), v.end()) - v.begin(); }, 0);
    check(
        argmin(x, list), DType::int64,
        [](auto& v) { return std::min_element(v.begin(), v.end()) - v.begin(); }, 0);
    const DType mean_dtype = floating ? dtype : DType::float32;
    const double loose = size_of(mean_dtype) == 2 ? 0.02 : 1e-5;
    check(
        mean(x, list) + 0, mean_dtype, [](auto& v) { return sum_of(v) / static_cast<double>(v.size()); },
        loose);
    // Kept axes broadcast against what was reduced.
    const Variable kept = sum(x, list, true);
    CHECK(kept.rank() == shape.rank());
    for (const std::int64_t axis : axes) CHECK(kept.type().shape[static_cast<std::size_t>(axis)] == 1);
  }
}

TEST_CASE("Long sums keep their digits", "[ops][reduce]") {
  const Variable x = fvector();
  const Tensor many = Tensor::full({1000001}, Tensor(0.1f));
  CHECK(evaluate(sum(x), {{x, many}}).item<float>() == Approx(100000.1).epsilon(1e-6));
}

TEST_CASE("Integers are summed in 64 bits and wrap around there", "[ops][reduce]") {
  const Variable b = bvector(), u = tensor(DType::uint64, {unknown}), t = tensor(DType::bool_, {unknown});
  CHECK(evaluate(sum(b), {{b, Tensor::full({1000}, Tensor(100), DType::int8)}}).item<std::int64_t>() ==
        100000);
  CHECK(evaluate(sum(u), {{u, Tensor(std::vector<std::uint64_t>{~0ull, 2})}}).item<std::uint64_t>() == 1);
  CHECK(evaluate(prod(u), {{u, Tensor(std::vector<std::uint64_t>{1ull << 63, 2})}}).item<std::uint64_t>() ==
        0);
  CHECK(evaluate(sum(t), {{t, Tensor{true, true, false}}}).item<std::int64_t>() == 2);
  CHECK(evaluate(mean(t), {{t, Tensor{true, true, false, false}}}).item<float>() == 0.5f);
  CHECK(max(b).dtype() == DType::int8);
}

TEST_CASE("NaN wins, and is found", "[ops][reduce]") {
  const Variable x = matrix("x");
  const float nan = std::nanf("");
  const Tensor value{{1.f, nan, 3.f}, {4.f, 5.f, -INFINITY}};
  const auto at = [&](const Variable& y) { return evaluate(y, {{x, value}}); };
  CHECK(equal_values(at(max(x, 1)), Tensor{nan, 5.f}));
  CHECK(equal_values(at(min(x, 1)), Tensor{nan, -INFINITY}));
  CHECK(equal(at(argmax(x, 1)), Tensor{1, 1}));
  CHECK(equal(at(argmin(x, 1)), Tensor{1, 2}));
  CHECK(equal(at(argmax(x)), Tensor(1)));
  CHECK(equal_values(at(sum(x, 1)), Tensor{nan, -INFINITY}));
  CHECK(at(all(x)).item<bool>());
}

TEST_CASE("Reductions of nothing", "[ops][reduce]") {
  const Variable x = matrix("x");
  const auto at = [&](const Variable& y, const Shape& shape) {
    return evaluate(y, {{x, Tensor::zeros(shape)}});
  };
  CHECK(equal(at(sum(x, 0), {0, 2}), Tensor{0.f, 0.f}));
  CHECK(equal(at(prod(x, 0), {0, 2}), Tensor{1.f, 1.f}));
  CHECK(at(all(x), {0, 2}).item<bool>());
  CHECK(!at(any(x), {0, 2}).item<bool>());
  CHECK(std::isnan(at(mean(x), {0, 2}).item<float>()));
  CHECK(at(max(x, 1), {0, 2}).shape() == Shape{0});
  CHECK_THROWS_WITH(
      at(max(x, 0), {0, 2}),
      Catch::StartsWith(
          "max of nothing: axis 0 of the shape (0, 2) is empty, and max has no value for that"));
  CHECK_THROWS_AS(at(argmin(x), {3, 0}), ShapeError);
  CHECK_THROWS_AS(max(tensor(DType::float32, {0, 3}), 0), ShapeError);  // as soon as it is known
}

TEST_CASE("Axes", "[ops][reduce]") {
  const Variable x = tensor3("x");
  CHECK(label(sum(x)) == "Sum");
  CHECK(label(sum(x, -1)) == "Sum{axis=[2]}");
  CHECK(label(x.max({2, 0})) == "Max{axis=[0, 2]}");
  CHECK(label(argmax(x, 1)) == "Argmax{axis=[1]}");
  CHECK(to_string(x.sum(1, true).type()) == "float32[?,1,?]");
  CHECK(to_string(x.mean(none).type()) == "float32[]");
  const Variable s = scalar("s");
  CHECK(sum(s) == s);
  CHECK(sum(x, Axes{}).rank() == 0);
  CHECK_THROWS_WITH(sum(x, 3), "axis 3 is outside a tensor of 3 axes");
  CHECK_THROWS_AS(sum(x, -4), IndexError);
  CHECK_THROWS_WITH(sum(x, {0, -3}), "axis 0 is named twice");
  CHECK_THROWS_AS(apply_op(*find_reduce("sum"), {x}), TypeError);
  CHECK_THROWS_AS(apply_op(*find_reduce("sum"), {x}, {{"axes", std::vector<std::int64_t>{1, 0}}}),
                  ValueError);
}

TEST_CASE("Composed statistics", "[ops][reduce]") {
  const Variable x = dmatrix("x");
  const Tensor value{{1., 2., 4.}, {-3., 0., 3.}};
  const auto at = [&](const Variable& y) { return evaluate(y, {{x, value}}); };
  CHECK(allclose(at(var(x, 1)), Tensor{14. / 9, 6.}));
  CHECK(allclose(at(var(x, 1, 1)), Tensor{7. / 3, 9.}));
  CHECK(allclose(at(std_dev(x, 1)), Tensor{std::sqrt(14. / 9), std::sqrt(6.)}));
  CHECK(allclose(at(ptp(x, 1)), Tensor{3., 6.}));
  CHECK(allclose(at(norm(x, 2, 1)), Tensor{std::sqrt(21.), std::sqrt(18.)}));
  CHECK(allclose(at(norm(x, 1, 1)), Tensor{7., 6.}));
  CHECK(allclose(at(norm(x, 0, 1)), Tensor{3., 2.}));
  CHECK(allclose(at(norm(x, HUGE_VAL, 1)), Tensor{4., 3.}));
  CHECK(allclose(at(norm(x, 3, 1)), Tensor{std::cbrt(73.), std::cbrt(54.)}));
  CHECK(at(var(x, none, 0, true)).shape() == Shape{1, 1});
  const Variable i = imatrix("i");
  CHECK(var(i).dtype() == DType::float32);
}

TEST_CASE("Gradients of reductions", "[ops][reduce][grad]") {
  std::mt19937_64 generator(8);
  const std::vector<Axes> choices{none, 0, 1, -1, {0, 2}};
  for (const Axes& axes : choices) {
    for (const bool keepdims : {false, true}) {
      const Tensor point = random_tensor({3, 2, 4}, DType::float64, generator, 0.5, 2);
      const auto verify = [&](auto&& f) {
        verify_grad([&](const std::vector<Variable>& v) { return Variable(f(v[0])); }, {point});
      };
      CHECK_NOTHROW(verify([&](const Variable& x) { return sum(x, axes, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return prod(x, axes, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return max(x, axes, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return min(x, axes, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return mean(x, axes, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return var(x, axes, 1, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return std_dev(x, axes, 0, keepdims); }));
      CHECK_NOTHROW(verify([&](const Variable& x) { return norm(x, 3, axes, keepdims); }));
    }
  }
  const Variable x = dmatrix("x");
  const auto at = [&](const Variable& y, const Tensor& value) {
    return evaluate(grad(sum(y), x), {{x, value}});
  };
  const Tensor ties{{2., 5., 5.}, {1., 1., 1.}};
  CHECK(equal(at(max(x, 1), ties), Tensor{{0., 1., 0.}, {1., 0., 0.}}));
  CHECK(equal(at(min(x, 1), ties), Tensor{{1., 0., 0.}, {1., 0., 0.}}));
  CHECK(equal(at(max(x), ties), Tensor{{0., 1., 0.}, {0., 0., 0.}}));
  const Tensor zeros{{2., 0., 5.}, {0., 0., 3.}, {1., 2., 3.}};
  CHECK(equal(at(prod(x, 1), zeros), Tensor{{0., 10., 0.}, {0., 0., 0.}, {6., 3., 2.}}));
  CHECK_THROWS_AS(grad(cast(argmax(x), DType::float64), x), DisconnectedInputError);
}
