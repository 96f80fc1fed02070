#include "croton/ops/c01b.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "croton/croton.h"
#include "lowered.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

Variable c01b(const char* name) { return ftensor4(name); }

/// The definition of FilterActs, with windows that reach over the end.
Tensor plain_filter_acts(const Tensor& x, const Tensor& w, std::int64_t pad, std::int64_t stride) {
  const auto out = [&](int axis) {
    const std::int64_t room =
        x.shape()[static_cast<std::size_t>(axis)] + 2 * pad - w.shape()[static_cast<std::size_t>(axis)];
    return (room + stride - 1) / stride + 1;
  };
  Tensor y = Tensor::zeros({w.shape()[3], out(1), out(2), x.shape()[3]}, DType::float32);
  for (std::int64_t o = 0; o < y.shape()[0]; ++o)
    for (std::int64_t r = 0; r < y.shape()[1]; ++r)
      for (std::int64_t c = 0; c < y.shape()[2]; ++c)
        for (std::int64_t n = 0; n < y.shape()[3]; ++n) {
          double sum = 0;
          for (std::int64_t ch = 0; ch < x.shape()[0]; ++ch)
            for (std::int64_t i = 0; i < w.shape()[1]; ++i)
              for (std::int64_t j = 0; j < w.shape()[2]; ++j) {
                const std::int64_t row = r * stride - pad + i, column = c * stride - pad + j;
                if (row < 0 || row >= x.shape()[1] || column < 0 || column >= x.shape()[2]) continue;
                sum += static_cast<double>(x.at<float>({ch, row, column, n})) * w.at<float>({ch, i, j, o});
              }
          y.at<float>({o, r, c, n}) = static_cast<float>(sum);
        }
  return y;
}

}  // namespace

TEST_CASE("FilterActs is a correlation whose extents round up", "[ops][c01b]") {
  for (const auto& [pad, stride] : {std::pair{0, 1}, std::pair{2, 1}, std::pair{1, 2}, std::pair{0, 3}}) {
    const Tensor x = random_tensor({3, 9, 8, 4}, DType::float32, 1),
                 w = random_tensor({3, 4, 3, 5}, DType::float32, 2);
    const Variable images = c01b("x"), filters = c01b("w");
    const FilterActs acts(pad, std::nullopt, stride);
    const Tensor y = function({images, filters}, acts(images, filters))(x, w);
    const Tensor expected = plain_filter_acts(x, w, pad, stride);
    REQUIRE(y.shape() == expected.shape());
    CHECK(allclose(y, expected, 1e-4, 1e-4));
    // ImageActs and WeightActs are its gradients.
    const Variable hidden = c01b("h");
    const Variable out = acts(images, filters);
    const Tensor h = random_tensor(y.shape(), DType::float32, 3);
    const Tensor gx =
        function({images, filters, hidden}, grad(none, images, {.known_grads = {{out, hidden}}}),
                 {.on_unused_input = OnUnusedInput::ignore})(x, w, h);
    const Tensor gw =
        function({images, filters, hidden}, grad(none, filters, {.known_grads = {{out, hidden}}}),
                 {.on_unused_input = OnUnusedInput::ignore})(x, w, h);
    CHECK(allclose(
        function({hidden, filters}, ImageActs(pad, std::nullopt, stride)(hidden, filters, {9, 8}))(h, w)[0],
        gx, 1e-4, 1e-4));
    CHECK(allclose(
        function({images, hidden}, WeightActs(pad, std::nullopt, stride)(images, hidden, {4, 3}))(x, h)[0],
        gw, 1e-4, 1e-4));
  }
  const Variable x = tensor(DType::float32, {3, 8, 8, 2}), w = tensor(DType::float32, {3, 3, 3, 16});
  CHECK_NOTHROW(FilterActs(0, 4)(x, w));
  CHECK_THROWS_WITH(FilterActs(0, 5)(x, w), Catch::Contains("partial_sum is 5") && Catch::Contains("6 x 6"));
  CHECK_THROWS_AS(FilterActs(-1), ValueError);
  CHECK_THROWS_AS(FilterActs()(fmatrix("m"), w), TypeError);
}

TEST_CASE("pooling in c01b cuts windows off at the end", "[ops][c01b]") {
  const Tensor x({1.f, 5.f, 2.f, 0.f, 3.f, 4.f, 7.f, 6.f, 8.f});
  const Tensor image = x.reshape({1, 3, 3, 1});
  const Variable v = c01b("x");
  const auto values = [&](const Variable& y) {
    return function({v}, y)(image)[0].to_host().reshape({4}).to_vector<float>();
  };
  CHECK(values(max_pool_c01b(v, 2, 2)) == std::vector<float>{5, 4, 7, 8});
  CHECK(values(avg_pool_c01b(v, 2, 2)) == std::vector<float>{2.25f, 3, 6.5f, 8});
  const std::vector<float> weighted = values(weighted_max_pool_c01b(v, 2, 2));
  CHECK(weighted[0] == Approx((1 + 25 + 0 + 9) / 9.0));
  CHECK(weighted[3] == Approx(8));
  CHECK(function({v}, max_pool_c01b(v, 3, 1))(image)[0].to_host().shape() == Shape{1, 1, 1, 1});
  CHECK(function({v}, weighted_max_pool_c01b(v, 2, 2))(Tensor::zeros({1, 3, 3, 1}))[0].to_host().at<float>(
            {0, 0, 0, 0}) == 0);
  CHECK_THROWS_AS(max_pool_c01b(v, 2, 3), ValueError);
}

TEST_CASE("stochastic pooling draws elements in proportion", "[ops][c01b]") {
  const std::int64_t batch = 4000;
  Tensor x = Tensor::zeros({1, 2, 2, batch});
  for (std::int64_t n = 0; n < batch; ++n) {
    x.at<float>({0, 0, 0, n}) = 1;
    x.at<float>({0, 1, 0, n}) = 3;
  }
  const Variable v = c01b("x");
  RandomStreams random(7);
  const Tensor drawn = function({v}, stochastic_max_pool_c01b(v, 2, 2, random))(x);
  std::int64_t ones = 0, threes = 0;
  for (std::int64_t n = 0; n < batch; ++n) {
    ones += drawn.at<float>({0, 0, 0, n}) == 1;
    threes += drawn.at<float>({0, 0, 0, n}) == 3;
  }
  CHECK(ones + threes == batch);
  CHECK(static_cast<double>(threes) / static_cast<double>(batch) == Approx(0.75).margin(0.03));
  CHECK(function({v}, stochastic_max_pool_c01b(v, 2, 1, random))(Tensor::zeros({1, 3, 3, 2}))[0]
            .to_host()
            .shape() == Shape{1, 2, 2, 2});
}

TEST_CASE("probabilistic max-pooling is a softmax with a unit that is off", "[ops][c01b]") {
  const Tensor z = random_tensor({2, 4, 6, 3}, DType::float32, 4),
               t = random_tensor({2, 2, 3, 3}, DType::float32, 5);
  const Variable v = c01b("z"), top = c01b("t");
  const auto [p, h] = prob_max_pool_c01b(v, 2, top);
  const Outputs result = function({v, top}, {p, h})(z, t);
  for (std::int64_t c = 0; c < 2; ++c) {
    for (std::int64_t r = 0; r < 2; ++r) {
      for (std::int64_t k = 0; k < 3; ++k) {
        for (std::int64_t n = 0; n < 3; ++n) {
          double total = std::exp(-t.at<float>({c, r, k, n}));
          for (int i = 0; i < 4; ++i) total += std::exp(z.at<float>({c, 2 * r + i / 2, 2 * k + i % 2, n}));
          CHECK(result[0].at<float>({c, r, k, n}) ==
                Approx(1 - std::exp(-t.at<float>({c, r, k, n})) / total).epsilon(1e-4));
          for (int i = 0; i < 4; ++i) {
            const Shape at{c, 2 * r + i / 2, 2 * k + i % 2, n};
            CHECK(result[1].at<float>(at) == Approx(std::exp(z.at<float>(at)) / total).epsilon(1e-4));
          }
        }
      }
    }
  }
}

TEST_CASE("normalization across maps", "[ops][c01b]") {
  const Tensor x = random_tensor({5, 2, 1, 2}, DType::float32, 6);
  const Variable v = tensor(DType::float32, {5, 2, 1, 2});
  for (const bool blocked : {false, true}) {
    const auto [y, d] = cross_map_norm(v, 3, 0.1, 0.75, blocked);
    const Outputs result = function({v}, {y, d})(x);
    for (std::int64_t f = 0; f < 5; ++f) {
      const std::int64_t begin = blocked ? f / 3 * 3 : std::max<std::int64_t>(0, f - 1);
      const std::int64_t end = std::min<std::int64_t>(5, blocked ? f / 3 * 3 + 3 : f + 2);
      double total = 1;
      for (std::int64_t c = begin; c < end; ++c) total += 0.1 * std::pow(x.at<float>({c, 1, 0, 1}), 2);
      CHECK(result[1].at<float>({f, 1, 0, 1}) == Approx(total).epsilon(1e-4));
      CHECK(result[0].at<float>({f, 1, 0, 1}) ==
            Approx(x.at<float>({f, 1, 0, 1}) * std::pow(total, -0.75)).epsilon(1e-4));
    }
  }
  CHECK_THROWS_AS(cross_map_norm(v, 6), ValueError);
  CHECK_THROWS_WITH(cross_map_norm(ftensor4("open"), 3),
                    Catch::Contains("of open (") && Catch::Contains("specify_shape"));
}
