#include "croton/runtime/cuda_product_layout.h"
#include "croton/runtime/cuda_product_choice.h"

#include <catch2/catch.hpp>
#include <random>

#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"
#include "croton/ops/blas.h"
#include "croton/ops/creation.h"

using namespace croton;

namespace {

/// A matrix somewhere in a block: rows or columns side by side, at a distance that may exceed the length.
struct Placed {
  std::vector<double> memory;
  Layout layout;

  Placed(std::int64_t rows, std::int64_t columns, bool by_rows, std::int64_t gap, std::mt19937& random) {
    const std::int64_t leading = (by_rows ? columns : rows) + gap;
    memory.resize(static_cast<std::size_t>(leading * (by_rows ? rows : columns) + 1));
    std::uniform_int_distribution<int> number(-4, 4);
    for (double& x : memory) x = number(random);
    layout = {DType::float64, {rows, columns}, by_rows ? Shape{leading, 1} : Shape{1, leading}};
  }
  double at(std::int64_t i, std::int64_t j) const {
    return memory[static_cast<std::size_t>(i * layout.strides[0] + j * layout.strides[1])];
  }
};

/// What cuBLASLt is told to compute, by its own rules: column-major, operands transposed or not.
void multiply(const BlasProduct& p, double alpha, double beta, const std::vector<double*>& buffers) {
  const auto element = [&](const BlasMatrix& m, std::int64_t i, std::int64_t j) -> double& {
    REQUIRE(i < m.rows);
    REQUIRE(j < m.columns);
    return buffers[static_cast<std::size_t>(m.buffer)][i + j * m.leading];
  };
  const auto factor = [&](const BlasMatrix& m, std::int64_t i, std::int64_t j) {
    return m.transposed ? element(m, j, i) : element(m, i, j);
  };
  for (std::int64_t j = 0; j < p.d.columns; ++j) {
    for (std::int64_t i = 0; i < p.d.rows; ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k < p.k; ++k) sum += factor(p.a, i, k) * factor(p.b, k, j);
      sum *= alpha;
      if (p.c.buffer >= 0) sum += beta * element(p.c, i, j);
      if (p.bias >= 0) sum += buffers[static_cast<std::size_t>(p.bias)][i];
      element(p.d, i, j) = sum;
    }
  }
}

Variable number(double value) { return constant(Tensor(value)); }

}  // namespace

TEST_CASE("products of matrices that lie by rows or by columns need no copy", "[runtime][cuda][blas]") {
  std::mt19937 random(1);
  std::uniform_int_distribution<std::int64_t> extent(1, 5), gap(0, 2);
  for (int repeat = 0; repeat < 300; ++repeat) {
    const auto coin = [&] { return random() % 2 == 0; };
    const std::int64_t m = extent(random), n = extent(random), k = extent(random);
    Placed a(m, k, coin(), gap(random), random), b(k, n, coin(), gap(random), random);
    Placed c(m, n, coin(), gap(random), random);
    Placed z = c;
    const Variable x = dmatrix(), y = dmatrix(), sum = dmatrix();
    const bool has_sum = coin();
    const Variable node =
        has_sum ? apply_op(gemm_op(), {sum, number(2), x, y, number(-1)}) : apply_op(dot22_op(), {x, y});
    const Layout scalar{DType::float64, {}, {}};
    const std::vector<Layout> inputs = has_sum
                                           ? std::vector<Layout>{z.layout, scalar, a.layout, b.layout, scalar}
                                           : std::vector<Layout>{a.layout, b.layout};
    std::string reason;
    const auto operands = product_operands(*node.node(), inputs, std::vector<Layout>{c.layout});
    REQUIRE(operands);
    const auto product = blas_product(*operands, has_sum ? -1. : 0., reason);
    INFO(m << " " << n << " " << k << " " << reason);
    REQUIRE(product);
    CHECK(product->a.leading >= product->a.rows);
    CHECK(product->b.leading >= product->b.rows);
    CHECK(product->d.leading >= product->d.rows);
    std::vector<double*> buffers = {a.memory.data(), b.memory.data(), c.memory.data()};
    if (has_sum)
      buffers = {z.memory.data(), nullptr, a.memory.data(), b.memory.data(), nullptr, c.memory.data()};
    multiply(*product, has_sum ? 2 : 1, -1, buffers);
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double expected = 0;
        for (std::int64_t l = 0; l < k; ++l) expected += a.at(i, l) * b.at(l, j);
        if (has_sum) expected = 2 * expected - z.at(i, j);
        CHECK(c.at(i, j) == expected);
      }
    }
  }
}

TEST_CASE("a row that is added to every row becomes a bias", "[runtime][cuda][blas]") {
  const Layout x{DType::float32, {5, 3}, {3, 1}}, y{DType::float32, {3, 4}, {4, 1}},
      c{DType::float32, {5, 4}, {4, 1}};
  const Layout scalar{DType::float32, {}, {}}, row{DType::float32, {1, 4}, {4, 1}},
      column{DType::float32, {5, 1}, {1, 1}};
  const auto plan = [&](const Layout& z, double beta, std::string& reason) {
    const Variable zv = matrix("z"), one = constant(Tensor(1.F)),
                   factor = constant(Tensor(static_cast<float>(beta)));
    const Variable node = apply_op(gemm_op(), {zv, one, matrix("x"), matrix("y"), factor});
    const auto operands =
        product_operands(*node.node(), std::vector<Layout>{z, scalar, x, y, scalar}, std::vector<Layout>{c});
    REQUIRE(operands);
    return blas_product(*operands, beta, reason);
  };
  std::string reason;
  const auto product = plan(row, 1, reason);
  REQUIRE(product);
  CHECK(product->bias == 0);
  CHECK(product->c.buffer == -1);
  CHECK(product->d == BlasMatrix{5, 4, 5, 4, false});
  CHECK_FALSE(plan(row, 0.5, reason));
  CHECK_THAT(reason, Catch::Contains("with a factor of 1 only"));
  CHECK_FALSE(plan(column, 1, reason));
  CHECK_THAT(reason, Catch::Contains("the summand of 5 x 1 has strides 1 and 0"));
}

TEST_CASE("vectors are matrices of one row or column", "[runtime][cuda][blas]") {
  const Layout a{DType::float32, {6, 3}, {3, 1}}, v{DType::float32, {3}, {2}}, out{DType::float32, {6}, {1}};
  const Variable node = apply_op(dot_op(), {matrix("a"), vector("v")});
  const auto operands = product_operands(*node.node(), std::vector<Layout>{a, v}, std::vector<Layout>{out});
  REQUIRE(operands);
  std::string reason;
  const auto product = blas_product(*operands, 0., reason);
  REQUIRE(product);
  CHECK(product->k == 3);
  CHECK(product->d.rows * product->d.columns == 6);
}

TEST_CASE("strides that cuBLASLt cannot walk are named", "[runtime][cuda][blas]") {
  const Layout reversed{DType::float32, {4, 3}, {-3, 1}}, y{DType::float32, {3, 4}, {4, 1}};
  const Layout out{DType::float32, {4, 4}, {4, 1}};
  const Variable node = apply_op(dot22_op(), {matrix("x"), matrix("y")});
  const auto operands =
      product_operands(*node.node(), std::vector<Layout>{reversed, y}, std::vector<Layout>{out});
  REQUIRE(operands);
  std::string reason;
  CHECK_FALSE(blas_product(*operands, 0., reason));
  CHECK(reason ==
        "an operand of 4 x 3 has strides -3 and 1; cuBLASLt needs one of them 1 and the other at least the "
        "length");
}

TEST_CASE("of measured algorithms of a product another than the library's guess must be clearly faster",
          "[runtime][cuda]") {
  const auto fastest = [](std::vector<double> taken) {
    std::vector<double> limits;
    const auto best = fastest_product_algorithm(taken.size(), [&](std::size_t i, double limit) {
      limits.push_back(limit);
      return taken[i] < 0 ? std::nullopt : std::optional(taken[i]);
    });
    CHECK(limits.size() == taken.size());
    return best;
  };
  CHECK(fastest({}) == std::nullopt);
  CHECK(fastest({-1, -1}) == std::nullopt);
  CHECK(fastest({10, 9.8, 12}) == 0);
  CHECK(fastest({10, 8, 7.9}) == 1);
  CHECK(fastest({-1, 9, 5}) == 2);
}

TEST_CASE("the algorithm of a product is remembered", "[runtime][cuda]") {
  const std::string name = "a product of a test 17x19";
  ProductAlgorithm choice;
  choice.algorithm.data[0] = 42;
  choice.workspace = 4096;
  remember_product_algorithm(name, choice);
  const auto known = known_product_algorithm(name);
  REQUIRE(known);
  CHECK(known->algorithm.data[0] == 42);
  CHECK(known->workspace == 4096);
  CHECK_FALSE(known_product_algorithm("another"));
}
