#include "croton/ops/blas.h"

#include <catch2/catch.hpp>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"
#include "croton/ops/verify_grad.h"
#include "random_cases.h"
#include "tensor_values.h"

using namespace croton;
using namespace croton::test;

namespace {

/// x @ y by definition, in double.
Tensor product_by_definition(const Tensor& x, const Tensor& y) {
  const Tensor a = x.astype(DType::float64), b = y.astype(DType::float64);
  const Tensor result = Tensor::zeros({a.shape()[0], b.shape()[1]}, DType::float64);
  for_each_index({a.shape()[0], b.shape()[1], a.shape()[1]}, [&](const Shape& i) {
    result.at<double>({i[0], i[1]}) += a.at<double>({i[0], i[2]}) * b.at<double>({i[2], i[1]});
  });
  return result;
}

std::string label(const Variable& v) { return v.node()->op().label(*v.node()); }

Variable with_inplace(const Op& op, std::vector<Variable> inputs) {
  return apply_op(op, std::move(inputs), {{"inplace", std::vector<std::int64_t>{0, 0}}});
}

}  // namespace

TEST_CASE("dot of vectors and matrices", "[ops][blas]") {
  std::mt19937_64 generator(9);
  for (int trial = 0; trial < random_cases(200); ++trial) {
    const auto dtype = static_cast<DType>(1 + generator() % 12);
    const auto extent = [&] { return static_cast<std::int64_t>(generator() % 7); };
    const std::int64_t m = extent(), k = extent(), n = extent();
    const bool x_vector = generator() % 3 == 0, y_vector = generator() % 3 == 0;
    Tensor a = random_tensor({m, k}, dtype, generator, -3, 4);
    if (generator() % 2) a = random_tensor({k, m}, dtype, generator, -3, 4).transpose();
    const Tensor b = random_tensor({k, n}, dtype, generator, -3, 4);
    const Tensor x = x_vector && m > 0 ? a[0] : a, y = y_vector && n > 0 ? b.select(1, 0) : b;
    const Variable u = tensor(dtype, Shape::filled(x.shape().size(), unknown)), v = tensor(dtype, y.shape());
    const Tensor got = evaluate(dot(u, v), {{u, x}, {v, y}});
    const Tensor whole =
        product_by_definition(x.rank() == 1 ? x.reshape({1, k}) : x, y.rank() == 1 ? y.reshape({k, 1}) : y);
    Shape shape;
    if (x.rank() == 2) shape.push_back(m);
    if (y.rank() == 2) shape.push_back(n);
    CHECK(got.dtype() == dtype);
    CHECK(equal_values(got, whole.reshape(shape).astype(dtype)));
  }
}

TEST_CASE("dot promotes, multiplies by scalars and goes beyond matrices", "[ops][blas]") {
  std::mt19937_64 generator(10);
  CHECK(dot(fmatrix(), lvector()).dtype() == DType::float32);
  CHECK(dot(bmatrix(), imatrix()).dtype() == DType::int32);
  CHECK(label(dot(scalar(), matrix())) == "Elemwise{mul,no_inplace}");
  CHECK(label(dot(matrix(), matrix())) == "dot");
  CHECK(to_string(dot(tensor(DType::float32, {2, 3}), matrix()).type()) == "float32[2,?]");
  const Variable t = tensor(DType::bool_, {2, 2});
  CHECK(equal(evaluate(dot(t, t), {{t, Tensor{{true, false}, {true, false}}}}),
              Tensor{{true, false}, {true, false}}));

  const Variable x = dtensor3("x"), y = dtensor3("y");
  const Tensor a = random_tensor({2, 3, 4}, DType::float64, generator),
               b = random_tensor({5, 4, 2}, DType::float64, generator);
  const Tensor got = evaluate(dot(x, y), {{x, a}, {y, b}});
  REQUIRE(got.shape() == Shape{2, 3, 5, 2});
  for_each_index(got.shape(), [&](const Shape& i) {
    double total = 0;
    for (std::int64_t k = 0; k < 4; ++k)
      total += a.at<double>({i[0], i[1], k}) * b.at<double>({i[2], k, i[3]});
    CHECK(got.at<double>(i) == Approx(total));
  });
  const Tensor both = evaluate(tensordot(x, y, {2, 0}, {1, 2}), {{x, a}, {y, b}});
  REQUIRE(both.shape() == Shape{3, 5});
  for_each_index(both.shape(), [&](const Shape& i) {
    double total = 0;
    for (std::int64_t k = 0; k < 4; ++k) {
      for (std::int64_t l = 0; l < 2; ++l) total += a.at<double>({l, i[0], k}) * b.at<double>({i[1], k, l});
    }
    CHECK(both.at<double>(i) == Approx(total));
  });
  const Variable same = dtensor3("same");
  const Tensor squares = evaluate(tensordot(x, same, 3), {{x, a}, {same, a}});
  CHECK(squares.shape() == Shape{});
  const Variable p = dvector("p"), q = dvector("q");
  CHECK(equal(evaluate(outer(p, q), {{p, Tensor{1., 2.}}, {q, Tensor{3., 4., 5.}}}),
              Tensor{{3., 4., 5.}, {6., 8., 10.}}));
  CHECK(evaluate(tensordot(p, q, 0), {{p, Tensor{1., 2.}}, {q, Tensor{3., 4., 5.}}}).shape() == Shape{2, 3});
}

TEST_CASE("Products of shapes that do not fit", "[ops][blas]") {
  const Variable x = tensor(DType::float32, {2, 3}, "x"), y = tensor(DType::float32, {4, 5}, "y");
  CHECK_THROWS_WITH(
      dot(x, y),
      Catch::StartsWith("dot: shapes (2, 3) and (4, 5) do not fit: x.shape[1] = 3, y.shape[0] = 4\n"
                        "  in dot, made at blas_test.cpp:") &&
          Catch::Contains("operand 0: x (float32[2,3], made at blas_test.cpp:") &&
          Catch::Contains("operand 1: y (float32[4,5], made at blas_test.cpp:"));
  const Variable u = matrix("u"), v = vector("v");
  CHECK_THROWS_WITH(
      evaluate(dot(u, v), {{u, Tensor::zeros({2, 3})}, {v, Tensor::zeros({2})}}),
      Catch::StartsWith("dot: shapes (2, 3) and (2,) do not fit: x.shape[1] = 3, y.shape[0] = 2"));
  CHECK_THROWS_AS(tensordot(x, y, {0}, {0}), ShapeError);
  CHECK_THROWS_AS(tensordot(x, y, {0, 0}, {0, 1}), ValueError);
  CHECK_THROWS_AS(tensordot(x, y, {0}, {0, 1}), ValueError);
  CHECK_THROWS_AS(tensordot(x, y, {2}, {0}), IndexError);
  CHECK_THROWS_AS(tensordot(x, y, 3), ValueError);
  CHECK_THROWS_AS(apply_op(dot_op(), {scalar(), matrix()}), TypeError);
  CHECK_THROWS_AS(apply_op(dot22_op(), {imatrix(), imatrix()}), TypeError);
  CHECK_THROWS_AS(apply_op(dot22_op(), {matrix(), dmatrix()}), TypeError);
  CHECK_THROWS_AS(apply_op(dot22_op(), {matrix(), vector()}), TypeError);
  CHECK_THROWS_AS(apply_op(gemm_op(), {tensor(DType::float32, {3, 5}), scalar(), x, y, scalar()}),
                  ShapeError);
}

TEST_CASE("BLAS forms compute what they stand for", "[ops][blas]") {
  std::mt19937_64 generator(11);
  for (const DType dtype : {DType::float64, DType::float32}) {
    for (const Shape& sizes :
         {Shape{3, 4, 5}, Shape{1, 1, 1}, Shape{0, 3, 2}, Shape{2, 0, 3}, Shape{7, 2, 1}}) {
      const std::int64_t m = sizes[0], k = sizes[1], n = sizes[2];
      std::unordered_map<Variable, Tensor> values;
      const auto input = [&](const Shape& declared, const Shape& shape) {
        const Variable v = tensor(dtype, declared);
        values.emplace(v, random_tensor(shape, dtype, generator));
        return v;
      };
      const Variable a = input({}, {}), b = input({}, {});
      const Variable x = input({unknown, unknown}, {m, k}), y = input({unknown, unknown}, {k, n});
      const Variable z = input({unknown, unknown}, {m, n}), z_row = input({1, unknown}, {1, n});
      const Variable u = input({unknown}, {k}), w = input({unknown}, {m}), v = input({unknown}, {n});
      const auto close = [&](const Variable& form, const Variable& meaning) {
        INFO(label(form));
        const Tensor got = evaluate(form, values), expected = evaluate(meaning, values);
        CHECK(got.dtype() == dtype);
        CHECK(got.shape() == expected.shape());
        CHECK(allclose(got, expected, 1e-5, 1e-4));
      };
      close(apply_op(dot22_op(), {x, y}), dot(x, y));
      close(apply_op(dot22_scalar_op(), {x, y, a}), a * dot(x, y));
      close(apply_op(gemm_op(), {z, a, x, y, b}), b * z + a * dot(x, y));
      close(apply_op(gemm_op(), {z_row, a, x, y, b}), b * z_row + a * dot(x, y));
      close(apply_op(gemv_op(), {w, a, x, u, b}), b * w + a * dot(x, u));
      close(apply_op(ger_op(), {z, a, w, v}), z + a * outer(w, v));
    }
  }
}

TEST_CASE("Labels and in-place candidates of the BLAS forms", "[ops][blas]") {
  using Pairs = std::vector<std::pair<int, int>>;
  const Variable z = matrix("z"), x = matrix("x"), a = scalar("a"), v = vector("v");
  const std::vector<Variable> gemm{z, a, x, x, a};
  CHECK(label(apply_op(dot22_op(), {x, x})) == "Dot22");
  CHECK(label(apply_op(dot22_scalar_op(), {x, x, a})) == "Dot22Scalar");
  CHECK(label(apply_op(gemm_op(), gemm)) == "Gemm{no_inplace}");
  CHECK(label(with_inplace(gemm_op(), gemm)) == "Gemm{inplace}");
  CHECK(label(apply_op(gemv_op(), {v, a, x, v, a})) == "Gemv{no_inplace}");
  CHECK(label(with_inplace(ger_op(), {z, a, v, v})) == "Ger{inplace}");
  const Variable plain = apply_op(gemm_op(), gemm), broadcast = apply_op(gemm_op(), {row(), a, x, x, a});
  CHECK(plain.node()->op().inplace_candidates(*plain.node()) == Pairs{{0, 0}});
  CHECK(broadcast.node()->op().inplace_candidates(*broadcast.node()).empty());
}

TEST_CASE("Gradients of products", "[ops][blas][grad]") {
  std::mt19937_64 generator(12);
  const auto point = [&](const Shape& shape) {
    return random_tensor(shape, DType::float64, generator, -2, 2);
  };
  const auto verify = [&](auto&& f, const std::vector<Tensor>& points) {
    CHECK_NOTHROW(
        verify_grad([&](const std::vector<Variable>& v) { return Variable(f(v[0], v[1])); }, points));
  };
  const auto product = [](const Variable& x, const Variable& y) { return dot(x, y); };
  verify(product, {point({3, 4}), point({4, 2})});
  verify(product, {point({3, 4}), point({4})});
  verify(product, {point({4}), point({4, 2})});
  verify(product, {point({4}), point({4})});
  verify(product, {point({}), point({4})});
  verify(product, {point({2, 3, 4}), point({2, 4, 2})});
  verify(product, {point({1, 4}), point({4, 1})});
  verify(product, {point({2, 0}), point({0, 3})});
  verify([](const Variable& x, const Variable& y) { return tensordot(x, y, {0, 2}, {1, 0}); },
         {point({2, 3, 4}), point({4, 2, 3})});
  verify([](const Variable& x, const Variable& y) { return outer(x, y); }, {point({3}), point({4})});
}
