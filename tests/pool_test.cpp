#include "croton/ops/pool.h"

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
#include "croton/ops/verify_grad.h"
#include "lowered.h"
#include "random_cases.h"

using namespace croton;
using Catch::Matchers::Contains;

namespace {

std::int64_t pick(std::mt19937& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

struct PoolCase {
  Shape shape;
  std::vector<std::int64_t> ws;
  PoolOptions options;
};

PoolCase random_pool_case(std::mt19937& random) {
  PoolCase c;
  for (std::int64_t i = pick(random, 0, 2); i > 0; --i) c.shape.push_back(pick(random, 0, 3));
  c.shape.push_back(pick(random, 0, 9));
  c.shape.push_back(pick(random, 0, 9));
  c.ws = {pick(random, 1, 4), pick(random, 1, 4)};
  if (random() % 3) c.options.stride = {pick(random, 1, 5), pick(random, 1, 5)};
  c.options.ignore_border = random() % 2;
  if (c.options.ignore_border && random() % 2) {
    c.options.pad = {pick(random, 0, c.ws[0] - 1), pick(random, 0, c.ws[1] - 1)};
  }
  c.options.mode = std::array{"max", "sum", "average_inc_pad", "average_exc_pad"}[random() % 4];
  return c;
}

Tensor small_integers(std::mt19937& random, const Shape& shape) {
  Tensor result = Tensor::empty(shape, DType::float64);
  for (std::int64_t i = 0; i < result.size(); ++i)
    result.data<double>()[i] = static_cast<double>(pick(random, -9, 9));
  return result;
}

// Windows found by trying every start, elements by walking over the padded plane.
std::vector<std::int64_t> starts(std::int64_t extent, std::int64_t ws, std::int64_t stride, std::int64_t pad,
                                 bool ignore_border) {
  std::vector<std::int64_t> result;
  std::int64_t covered = -1;  // the last element that a window reached
  for (std::int64_t at = -pad; at < extent && extent > 0; at += stride) {
    if (ignore_border && at + ws > extent + pad) break;
    // A window that is cut off is kept unless all that it would see has been seen.
    if (!ignore_border && !result.empty() && stride < ws && covered >= extent - 1) break;
    result.push_back(at);
    covered = at + ws - 1;
  }
  return result;
}

Tensor plain_pool(const Tensor& x, const PoolCase& c) {
  const std::vector<std::int64_t> stride = c.options.stride.empty() ? c.ws : c.options.stride;
  const std::size_t r = x.shape().size() - 2, k = r + 1;
  const auto rows = starts(x.shape()[r], c.ws[0], stride[0], c.options.pad[0], c.options.ignore_border);
  const auto columns = starts(x.shape()[k], c.ws[1], stride[1], c.options.pad[1], c.options.ignore_border);
  Shape shape = x.shape();
  shape[r] = static_cast<std::int64_t>(rows.size());
  shape[k] = static_cast<std::int64_t>(columns.size());
  const Tensor result = Tensor::zeros(shape, DType::float64);
  for_each_index(shape, [&](const Shape& at) {
    double total = 0, largest = -std::numeric_limits<double>::infinity();
    int inside = 0, padded = 0;
    const std::int64_t top = rows[static_cast<std::size_t>(at[r])],
                       left = columns[static_cast<std::size_t>(at[k])];
    for (std::int64_t i = top; i < top + c.ws[0]; ++i) {
      for (std::int64_t j = left; j < left + c.ws[1]; ++j) {
        padded += i < x.shape()[r] + c.options.pad[0] && j < x.shape()[k] + c.options.pad[1];
        if (i < 0 || j < 0 || i >= x.shape()[r] || j >= x.shape()[k]) continue;
        Shape element = at;
        element[r] = i;
        element[k] = j;
        ++inside;
        total += x.at<double>(element);
        largest = std::max(largest, x.at<double>(element));
      }
    }
    const std::string& mode = c.options.mode;
    result.at<double>(at) = mode == "max"               ? largest
                            : mode == "sum"             ? total
                            : mode == "average_inc_pad" ? total / padded
                                                        : total / inside;
  });
  return result;
}

double inner(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

}  // namespace

TEST_CASE("pool_2d is its definition in every mode", "[ops][pool]") {
  std::mt19937 random(31);
  for (int i = 0; i < test::random_cases(800); ++i) {
    const PoolCase c = random_pool_case(random);
    const Tensor value = small_integers(random, c.shape);
    const bool is_static = random() % 2;
    const Variable x = tensor(DType::float64, is_static ? c.shape : Shape::filled(c.shape.size(), unknown));
    const Variable y = pool_2d(x, c.ws, c.options);
    INFO(y.node()->op().label(*y.node()) << " of " << to_string(c.shape));
    const Tensor result = evaluate(y, {{x, value}});
    if (is_static) CHECK(y.type().shape == result.shape());
    CHECK(allclose(result, plain_pool(value, c), 1e-15));
  }
}

TEST_CASE("The extents of pooled axes are Theano's", "[ops][pool]") {
  CHECK(pooled_extent(28, 2, 2, 0, true) == 14);
  CHECK(pooled_extent(5, 2, 2, 0, true) == 2);
  CHECK(pooled_extent(5, 2, 2, 0, false) == 3);
  CHECK(pooled_extent(7, 3, 2, 0, true) == 3);
  CHECK(pooled_extent(8, 3, 2, 0, false) == 4);
  CHECK(pooled_extent(3, 5, 1, 0, true) == 0);
  CHECK(pooled_extent(3, 5, 1, 0, false) == 1);
  CHECK(pooled_extent(5, 3, 3, 1, true) == 2);
  CHECK(pooled_extent(9, 2, 4, 0, false) == 3);
  CHECK(pooled_extent(0, 2, 2, 0, false) == 0);
  CHECK(pooled_extent(0, 2, 1, 1, true) == 0);
}

TEST_CASE("A maximum's gradient goes to the first of equals; NaN is the largest", "[ops][pool][grad]") {
  const Variable x = fmatrix("x");
  const Variable y = pool_2d(x, {2, 2});
  const auto gradient = [&](const Tensor& t) {
    return evaluate(grad(sum(y), x), {{x, t}}).to_vector<float>();
  };
  CHECK(gradient({{1.f, 1.f}, {1.f, 1.f}}) == std::vector<float>{1, 0, 0, 0});
  CHECK(gradient({{0.f, 2.f}, {2.f, 1.f}}) == std::vector<float>{0, 1, 0, 0});
  CHECK(gradient({{-0.f, 0.f}, {0.f, 0.f}}) == std::vector<float>{1, 0, 0, 0});
  const float nan = std::nanf("");
  CHECK(gradient({{9.f, nan}, {nan, 1.f}}) == std::vector<float>{0, 1, 0, 0});
  CHECK(std::isnan(evaluate(y, {{x, Tensor({{9.f, 1.f}, {nan, 1.f}})}}).item<float>()));
  const float low = -std::numeric_limits<float>::infinity();
  CHECK(evaluate(y, {{x, Tensor({{low, low}, {low, low}})}}).item<float>() == low);
  CHECK(gradient({{low, low}, {low, low}}) == std::vector<float>{1, 0, 0, 0});
  // Overlapping windows add up.
  const Variable overlapping = pool_2d(x, {1, 2}, {.stride = {1, 1}});
  CHECK(evaluate(grad(sum(overlapping), x), {{x, Tensor({{0.f, 5.f, 1.f}})}}).to_vector<float>() ==
        std::vector<float>{0, 2, 0});
}

TEST_CASE("The gradient of pooling is the adjoint of its linear map", "[ops][pool][grad]") {
  std::mt19937 random(32);
  for (int i = 0; i < test::random_cases(400); ++i) {
    const PoolCase c = random_pool_case(random);
    const Variable x = tensor(DType::float64, Shape::filled(c.shape.size(), unknown), "x");
    const Variable y = pool_2d(x, c.ws, c.options);
    const Variable gy = tensor(DType::float64, y.type().shape, "gy"),
                   other = tensor(DType::float64, x.type().shape);
    const Variable gx = grad(none, x, {.known_grads = {{y, gy}}});
    std::unordered_map<Variable, Tensor> values = {{x, small_integers(random, c.shape)},
                                                   {other, small_integers(random, c.shape)}};
    values[gy] = small_integers(random, evaluate(y, values).shape());
    const Tensor back = evaluate(gx, values);
    REQUIRE(back.shape() == c.shape);
    // <gx(gy), v> = <gy, d gx / d gy applied to v>: both orders of derivative agree.
    const Variable twice = grad(none, gy, {.known_grads = {{gx, other}}});
    CHECK(inner(back, values[other]) == Approx(inner(values[gy], evaluate(twice, values))));
    // <gx, x> = <gy, y>, for a maximum too, which picks elements of x.
    CHECK(inner(back, values[x]) == Approx(inner(values[gy], evaluate(y, values))).margin(1e-9));
  }
}

TEST_CASE("Pooling against differences", "[ops][pool][grad]") {
  std::mt19937 random(33);
  // No two elements are equal, so that a small step keeps every maximum in place.
  Tensor x = Tensor::empty({2, 5, 6}, DType::float64);
  std::vector<std::int64_t> order(60);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::shuffle(order.begin(), order.end(), random);
  for (std::size_t i = 0; i < order.size(); ++i) x.data<double>()[i] = 0.1 * static_cast<double>(order[i]);
  for (const char* mode : {"max", "sum", "average_inc_pad", "average_exc_pad"}) {
    const PoolOptions options = {.stride = {2, 1}, .pad = {1, 1}, .mode = mode};
    const auto f = [&](const std::vector<Variable>& v) { return sqr(pool_2d(v[0], {3, 2}, options)); };
    verify_grad(f, {x});
    verify_grad([&](const std::vector<Variable>& v) { return grad(sum(f(v)), v[0]); }, {x});
  }
}

TEST_CASE("The gradient by the places of maxima is the one that looks for them", "[ops][pool][grad]") {
  std::mt19937 random(35);
  for (int i = 0; i < 60; ++i) {
    const std::vector<std::int64_t> ws{pick(random, 1, 4), pick(random, 1, 5)};
    PoolOptions options{.ignore_border = i % 2 == 0,
                        .stride = {pick(random, 1, ws[0] + 1), pick(random, 1, ws[1] + 1)}};
    if (options.ignore_border) options.pad = {pick(random, 0, ws[0] - 1), pick(random, 0, ws[1] - 1)};
    if (i % 5 == 0) options.stride = ws;
    const Shape shape{pick(random, 0, 2), pick(random, 1, 3), pick(random, 1, 12), pick(random, 1, 12)};
    // Few numbers: ties; and windows of nothing but -inf.
    Tensor x = test::random_tensor(shape, DType::int8, random()).astype(DType::float32);
    if (i % 6 == 0) x = Tensor::full(shape, -std::numeric_limits<float>::infinity());
    const Variable v(Node::make_input({DType::float32, shape}, "x", {}));
    const Variable y = pool_2d(v, ws, options);
    const Attributes& attributes = y.node()->attributes();
    const Ref<Node> places = make_node(max_pool_places_op(), {v}, attributes);
    CHECK(places->type(1).dtype == DType::uint8);
    const Variable gy(Node::make_input(y.type(), "gy", {}));
    const Tensor weights = test::random_tensor(y.type().shape, DType::float32, random());
    const Variable by_places =
        apply_op(max_pool_places_grad_op(), {places->output(1), gy},
                 attributes.with("extents", std::vector<std::int64_t>{shape[2], shape[3]}));
    CHECK(by_places.type().shape == shape);
    const Variable looked_for = apply_op(pool_2d_grad_op(), {v, y, gy}, attributes);
    CHECK(allclose(evaluate(places->output(0), {{v, x}}), evaluate(y, {{v, x}}), 0, 0));
    CHECK(allclose(evaluate(by_places, {{v, x}, {gy, weights}}),
                   evaluate(looked_for, {{v, x}, {gy, weights}}), 0, 0));
  }
  const Variable x(Node::make_input({DType::float32, {2, 7, 6}}, "x", {}));
  const Attributes attributes = pool_2d(x, {2, 2}).node()->attributes();
  const Attributes large = attributes.with("ws", std::vector<std::int64_t>{16, 17});
  CHECK_THROWS_WITH(apply_op(max_pool_places_op(), {x}, large), Contains("at most 256 elements"));
  const Attributes sums = attributes.with("mode", std::string("sum"));
  CHECK_THROWS_WITH(apply_op(max_pool_places_op(), {x}, sums), Contains("places are of maxima"));
  const Ref<Node> places = make_node(max_pool_places_op(), {x}, attributes);
  CHECK_THROWS_WITH(apply_op(max_pool_places_grad_op(), {places->output(1), places->output(0)},
                             attributes.with("extents", std::vector<std::int64_t>{9, 6})),
                    Contains("output gradient should have type float32[2,4,3]"));
}

TEST_CASE("Pooling's types, label and errors", "[ops][pool][errors]") {
  const Variable x = tensor(DType::float32, {unknown, 3, 7, unknown}, "x");
  const Variable y = pool_2d(x, {2, 2});
  CHECK(to_string(y.type()) == "float32[?,3,3,?]");
  CHECK(y.node()->op().label(*y.node()) ==
        "Pool{ws=(2, 2), stride=(2, 2), pad=(0, 0), mode='max', ignore_border=True}");
  CHECK(pool_2d(imatrix("i"), {2, 2}).dtype() == float_x());
  CHECK_THROWS_WITH(pool_2d(vector("v"), {2, 2}), Contains("at least 2") && Contains("pool_test.cpp"));
  CHECK_THROWS_AS(pool_2d(x, {2}), ValueError);
  CHECK_THROWS_AS(pool_2d(x, {0, 2}), ValueError);
  CHECK_THROWS_AS(pool_2d(x, {2, 2}, {.stride = {2, 0}}), ValueError);
  CHECK_THROWS_WITH(pool_2d(x, {2, 2}, {.pad = {2, 0}}), Contains("smaller than the window (2, 2)"));
  CHECK_THROWS_WITH(pool_2d(x, {2, 2}, {.ignore_border = false, .pad = {1, 0}}),
                    Contains("ignore_border = true"));
  CHECK_THROWS_WITH(pool_2d(x, {2, 2}, {.mode = "mean"}), Contains("mode 'mean' is not one of max, sum"));
}
