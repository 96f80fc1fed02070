#include "croton/ops/random.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/philox.h"
#include "croton/ops/reduce.h"

using namespace croton;
using Catch::Matchers::Contains;

namespace {

using Words = std::array<std::uint32_t, 4>;

Tensor draw(const Op& op, DType dtype, const Shape& shape, const std::vector<std::uint64_t>& state) {
  std::vector<Variable> inputs = {constant(Tensor(state))};
  for (const std::int64_t extent : shape) inputs.push_back(constant(Tensor(extent)));
  return evaluate(make_node(op, inputs, {{"dtype", dtype}})->output(0));
}

}  // namespace

TEST_CASE("Philox 4x32-10 gives its published vectors", "[ops][random]") {
  // Random123's known answers (kat_vectors, "philox4x32 10").
  CHECK(philox_4x32_10({0, 0, 0, 0}, {0, 0}).words == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox_4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}).words ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox_4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}).words ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Draws are the words that philox.h says", "[ops][random]") {
  CHECK(draw(random_bits_op(), DType::uint32, {4}, {0, 0, 0}).to_vector<std::uint32_t>() ==
        std::vector<std::uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(draw(random_bits_op(), DType::uint64, {2}, {0, 0, 0}).to_vector<std::uint64_t>() ==
        std::vector<std::uint64_t>{0xe169c58d6627e8d5, 0x9b00dbd8bc57ac4c});
  // Seed, stream and position are the key and the counter.
  const std::uint64_t position = 0x85a308d3243f6a88, stream = 0x0370734413198a2e, seed = 0x299f31d0a4093822;
  const Tensor pi = draw(random_bits_op(), DType::uint32, {2, 3}, {seed, stream, position});
  CHECK(pi.at<std::uint32_t>({0, 0}) == 0xd16cfe09);
  CHECK(pi.at<std::uint32_t>({1, 0}) == 0x24126ea1);
  CHECK(pi.at<std::uint32_t>({1, 1}) == philox_block(seed, stream, position + 1).words[0]);
  // The position wraps around at 2^64.
  CHECK(draw(random_bits_op(), DType::uint32, {5}, {1, 2, ~std::uint64_t{0}}).at<std::uint32_t>({4}) ==
        philox_block(1, 2, 0).words[0]);

  CHECK(draw(random_uniform_op(), DType::float32, {2}, {0, 0, 0}).to_vector<float>() ==
        std::vector<float>{0x6627e8p-24f, 0xe169c5p-24f});
  CHECK(draw(random_uniform_op(), DType::float64, {2}, {0, 0, 0}).to_vector<double>() ==
        std::vector<double>{static_cast<double>(0xe169c58d6627e8d5 >> 11) * 0x1p-53,
                            static_cast<double>(0x9b00dbd8bc57ac4c >> 11) * 0x1p-53});
  CHECK(draw(random_uniform_op(), DType::float16, {1}, {0, 0, 0}).astype(DType::float32).item<float>() ==
        static_cast<float>(0x6627e8d5u >> 21) * 0x1p-11f);
  CHECK(draw(random_uniform_op(), DType::bfloat16, {1}, {0, 0, 0}).astype(DType::float32).item<float>() ==
        static_cast<float>(0x66) * 0x1p-8f);

  const double u = static_cast<double>(0xe169c58d6627e8d5 >> 11) * 0x1p-53 + 0x1p-54;
  const double v = static_cast<double>(0x9b00dbd8bc57ac4c >> 11) * 0x1p-53;
  const Tensor z = draw(random_normal_op(), DType::float64, {2}, {0, 0, 0});
  CHECK(z.at<double>({0}) == Approx(std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v)).epsilon(1e-14));
  CHECK(z.at<double>({1}) == Approx(std::sqrt(-2 * std::log(u)) * std::sin(2 * M_PI * v)).epsilon(1e-14));
  const double uf = 0x6627e8d5p-32 + 0x1p-33, vf = 0xe169c5p-24;
  CHECK(draw(random_normal_op(), DType::float32, {1}, {0, 0, 0}).item<float>() ==
        Approx(std::sqrt(-2 * std::log(uf)) * std::cos(2 * M_PI * vf)).epsilon(1e-6));
}

TEST_CASE("A draw moves its state on by the blocks it used", "[ops][random]") {
  const auto after = [](DType dtype, std::int64_t n) {
    const Ref<Node> node = make_node(
        random_uniform_op(), {constant(Tensor(std::vector<std::uint64_t>{7, 8, 9})), constant(Tensor(n))},
        {{"dtype", dtype}});
    return evaluate(node->output(1)).to_vector<std::uint64_t>();
  };
  CHECK(after(DType::float32, 0) == std::vector<std::uint64_t>{7, 8, 9});
  CHECK(after(DType::float32, 4) == std::vector<std::uint64_t>{7, 8, 10});
  CHECK(after(DType::float32, 5) == std::vector<std::uint64_t>{7, 8, 11});
  CHECK(after(DType::float64, 5) == std::vector<std::uint64_t>{7, 8, 12});
  CHECK(after(DType::float16, 5) == std::vector<std::uint64_t>{7, 8, 11});
}

TEST_CASE("Streams draw from the distributions they are asked for", "[ops][random]") {
  RandomStreams streams(42);
  constexpr int n = 40000;
  const auto moments = [](const Tensor& t) {
    double total = 0, squares = 0;
    for (const double x : t.astype(DType::float64).to_vector<double>()) {
      total += x;
      squares += x * x;
    }
    const double mean = total / n;
    return std::pair(mean, squares / n - mean * mean);
  };
  // Within five standard errors.
  const auto [u_mean, u_var] = moments(evaluate(streams.uniform({n}, -1, 3)));
  CHECK(u_mean == Approx(1).margin(5 * std::sqrt(16.0 / 12 / n)));
  CHECK(u_var == Approx(16.0 / 12).epsilon(0.03));
  const auto [z_mean, z_var] = moments(evaluate(streams.normal({n / 4, 4}, 2, 0.5)));
  CHECK(z_mean == Approx(2).margin(5 * 0.5 / std::sqrt(n)));
  CHECK(z_var == Approx(0.25).epsilon(0.04));
  const Tensor coins = evaluate(streams.bernoulli({n}, 0.25));
  CHECK(coins.dtype() == DType::int64);
  CHECK(moments(coins).first == Approx(0.25).margin(5 * std::sqrt(0.1875 / n)));
  const Tensor dice = evaluate(streams.randint({n}, -1, 5, DType::int8));
  std::array<int, 6> counts{};
  for (const std::int8_t face : dice.to_vector<std::int8_t>()) {
    REQUIRE((face >= -1 && face < 5));
    ++counts[static_cast<std::size_t>(face + 1)];
  }
  for (const int count : counts) CHECK(count == Approx(n / 6.0).margin(5 * std::sqrt(n * 5.0 / 36)));
}

TEST_CASE("A uniform draw stays below its upper end", "[ops][random]") {
  RandomStreams streams(1);
  // At 2^24 a float32 has no room between the two ends: rounding alone would reach the upper one.
  const auto values = evaluate(streams.uniform({1000}, 16777216, 16777218)).to_vector<float>();
  for (const float x : values) CHECK(x == 16777216.f);
  const Variable low = fscalar("low"), high = fscalar("high");
  const auto symbolic =
      evaluate(streams.uniform({1000}, low, high), {{low, Tensor(16777216.f)}, {high, Tensor(16777218.f)}});
  for (const float x : symbolic.to_vector<float>()) CHECK(x == 16777216.f);
  CHECK(evaluate(streams.uniform({3}, 2, 2)).to_vector<float>() == std::vector<float>{2, 2, 2});
  CHECK(evaluate(streams.bernoulli({200}, 0)).to_vector<std::int64_t>() == std::vector<std::int64_t>(200, 0));
  CHECK(evaluate(streams.bernoulli({200}, 1)).to_vector<std::int64_t>() == std::vector<std::int64_t>(200, 1));
}

TEST_CASE("Integers over wide ranges", "[ops][random]") {
  RandomStreams streams(3);
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const auto& [low, high] : {std::pair{least, most}, std::pair{std::int64_t{-5}, std::int64_t{1} << 33},
                                  std::pair{std::int64_t{0}, std::int64_t{1} << 32}}) {
    std::set<std::int64_t> seen;
    for (const std::int64_t x : evaluate(streams.randint({100}, low, high)).to_vector<std::int64_t>()) {
      CHECK((x >= low && x < high));
      seen.insert(x);
    }
    CHECK(seen.size() > 90);
  }
  CHECK(evaluate(streams.randint({5}, 7, 8)).to_vector<std::int64_t>() == std::vector<std::int64_t>(5, 7));
}

TEST_CASE("Streams are independent, repeatable and can be sown anew", "[ops][random]") {
  RandomStreams a(5), b(5), c(6);
  const Variable first = a.uniform({8}), second = a.uniform({8});
  CHECK(equal(evaluate(first), evaluate(b.uniform({8}))));
  CHECK_FALSE(equal(evaluate(first), evaluate(second)));
  CHECK_FALSE(equal(evaluate(first), evaluate(c.uniform({8}))));
  const Tensor before = evaluate(second);
  REQUIRE(a.states().size() == 2);
  // Without a function nothing advances a stream; its default update is what a function applies.
  CHECK(equal(evaluate(second), before));
  SharedVariable state = a.states()[1];
  const Variable update = state.cell()->default_update(state);
  REQUIRE(update);
  state.set_value(evaluate(update));
  CHECK_FALSE(equal(evaluate(second), before));
  a.seed(5);
  CHECK(equal(evaluate(second), before));
  a.seed(9);
  CHECK_FALSE(equal(evaluate(second), before));
}

TEST_CASE("Sizes and arguments of draws", "[ops][random][errors]") {
  RandomStreams streams;
  const Variable x = matrix("x"), n = lscalar("n"), p = dvector("p");
  CHECK(to_string(streams.uniform({2, n}).type()) == "float32[2,?]");
  CHECK(to_string(streams.normal(x.shape()).type()) == "float32[?,?]");
  CHECK(evaluate(streams.normal(x.shape()), {{x, Tensor::zeros({2, 3}, DType::float32)}}).shape() ==
        Shape{2, 3});
  CHECK(evaluate(streams.uniform(Shape{})).rank() == 0);
  CHECK(evaluate(streams.uniform({0, 5})).shape() == Shape{0, 5});
  CHECK(streams.uniform({2}, 0, 1, DType::float64).dtype() == DType::float64);
  CHECK(streams.uniform({2}, p(0)).dtype() == DType::float64);
  CHECK(evaluate(streams.bernoulli({3}, p, DType::bool_), {{p, Tensor({0.0, 1.0, 0.0})}}).to_vector<bool>() ==
        std::vector<bool>{false, true, false});
  CHECK_THROWS_WITH(streams.uniform({-1}), Contains("an extent is -1") && Contains("random_test.cpp"));
  CHECK_THAT(describe(streams.randint({2}, 0, 3)), Contains("random_test.cpp"));
  CHECK_THROWS_AS(evaluate(streams.uniform({n}), {{n, Tensor(-1)}}), ShapeError);
  CHECK_THROWS_AS(streams.uniform({2}, 1, 0), ValueError);
  CHECK_THROWS_AS(streams.uniform({2}, 0, std::nan("")), ValueError);
  CHECK_THROWS_AS(streams.uniform({2}, 0, 1, DType::int32), TypeError);
  CHECK_THROWS_AS(streams.normal({2}, 0, -1), ValueError);
  CHECK_THROWS_AS(streams.bernoulli({2}, 1.5), ValueError);
  CHECK_THROWS_AS(streams.binomial({2}, 3), ValueError);
  CHECK_THROWS_AS(streams.randint({2}, 3, 3), ValueError);
  CHECK_THROWS_WITH(streams.randint({2}, 0, 300, DType::uint8), Contains("0 to 299 do not fit into uint8"));
  // Draws take no gradient, what is done with them does.
  const Variable s = fscalar("s");
  CHECK(evaluate(grad(sum(streams.uniform({3}, 0, s)), s), {{s, Tensor(2.f)}}).item<float>() > 0);
}
