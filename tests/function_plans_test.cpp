#include <catch2/catch.hpp>

#include "croton/croton.h"

using namespace croton;

namespace {

/// How many plans were made: each brings a graph of its own.
class PlanCounter {
 public:
  explicit PlanCounter(const Function& f) : f_(f) {}
  bool is_new() {
    const auto graph = f_.plan_graph();
    const bool fresh = std::find(seen_.begin(), seen_.end(), graph) == seen_.end();
    if (fresh) seen_.push_back(graph);
    return fresh;
  }
  std::size_t count() const { return seen_.size(); }

 private:
  Function f_;
  std::vector<std::shared_ptr<const FunctionGraph>> seen_;
};

}  // namespace

TEST_CASE("a plan a signature of shapes", "[runtime][plans]") {
  const Variable x = matrix("x");
  SharedVariable s = shared(Tensor{1.f, 2.f}, "s");
  const Function f = function({x}, x + s);
  PlanCounter plans(f);
  f(Tensor::ones({3, 2}));
  CHECK(plans.is_new());
  f(Tensor::ones({3, 2}));
  CHECK_FALSE(plans.is_new());
  f(Tensor::ones({4, 2}));
  CHECK(plans.is_new());
  f(Tensor::ones({3, 2}));
  CHECK_FALSE(plans.is_new());
  s.set_value(Tensor{1.f, 2.f, 3.f});
  CHECK(f(Tensor::ones({3, 3})).tensor().shape() == Shape{3, 3});
  CHECK(plans.is_new());
  f.plan_graph({{5, 3}});
  CHECK(plans.is_new());
  f(Tensor::ones({5, 3}));
  CHECK_FALSE(plans.is_new());
}

TEST_CASE("plans that were not used for long go", "[runtime][plans]") {
  const Variable x = vector("x");
  const Function f = function({x}, x * 2);
  PlanCounter plans(f);
  for (std::int64_t n = 1; n <= 20; ++n) {
    CHECK(f(Tensor::ones({n})).tensor().shape() == Shape{n});
    CHECK(plans.is_new());
    f(Tensor::ones({1}));
    CHECK_FALSE(plans.is_new());
  }
  f(Tensor::ones({20}));
  CHECK_FALSE(plans.is_new());
  f(Tensor::ones({2}));
  CHECK(plans.is_new());
}

TEST_CASE("a slice by a run-time index has one plan", "[runtime][plans]") {
  const Tensor values = Tensor::arange(20).reshape({10, 2});
  const SharedVariable data = shared(values, "data");
  const Variable i = lscalar("i");
  const Function f = function({i}, data(slice(i * 3, (i + 1) * 3)) * 2);
  PlanCounter plans(f);
  for (std::int64_t at = 0; at < 3; ++at) {
    const Tensor expected = values.slice(0, 3 * at, 3 * at + 3);
    CHECK(allclose(f(at), function({}, constant(expected) * 2)()));
    CHECK(plans.is_new() == (at == 0));
  }
  CHECK(f(3).tensor().shape() == Shape{1, 2});  // the last rows
  CHECK(plans.is_new());
  CHECK(f(5).tensor().shape() == Shape{0, 2});
  CHECK(plans.is_new());
  f(2);
  CHECK_FALSE(plans.is_new());
  CHECK(plans.count() == 3);
}

TEST_CASE("run-time integers of other kinds", "[runtime][plans]") {
  const Tensor values = Tensor::arange(24).reshape({4, 6});
  const SharedVariable data = shared(values, "data");
  const Variable i = lscalar("i"), j = lscalar("j"), x = matrix("x");

  SECTION("an element, a row, a column") {
    const Function f = function({i, j}, {data(i, j), data(i), data(all, j)});
    PlanCounter plans(f);
    for (int a = -4; a < 4; ++a) {
      for (int b = 0; b < 6; ++b) {
        const Outputs results = f(a, b);
        CHECK(results[0].item<float>() == values.at<float>({a, b}));
        CHECK(equal(results[1], values.select(0, a)));
        CHECK(equal(results[2], values.select(1, b)));
        plans.is_new();
      }
    }
    CHECK(plans.count() == 1);
  }
  SECTION("bounds on two axes of something computed") {
    const Function f = function({x, i, j}, tanh(x * 1)(slice(i, i + 2), slice(j, j + 3)));
    PlanCounter plans(f);
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 4; ++b) {
        const Tensor part = values.slice(0, a, a + 2).slice(1, b, b + 3);
        CHECK(allclose(f(values, a, b), eval(tanh(constant(part.contiguous())))));
        plans.is_new();
      }
    }
    CHECK(plans.count() == 1);
  }
  SECTION("a step") {
    const Function f = function({i}, data(all, slice(none, none, i)));
    for (int step : {1, 2, 3, -1, -2, 7}) {
      CHECK(equal(f(step), values.slice(1, {}, {}, step)));
    }
    CHECK_THROWS_AS(f(0), ValueError);
    CHECK_NOTHROW(f(1));
  }
  SECTION("slices of slices") {
    const Function f = function({i, j}, data(slice(i, none))(slice(none, j)));
    for (int a = 0; a <= 4; ++a) {
      for (int b = 0; b <= 4; ++b) {
        CHECK(equal(f(a, b), values.slice(0, a).slice(0, {}, b)));
      }
    }
  }
  SECTION("extents") {
    const Function f = function({i}, reshape(constant(Tensor::arange(12)), {i, -1}));
    for (int n : {1, 2, 3, 4, 6, 12}) CHECK(f(n).tensor().shape() == Shape{n, 12 / n});
    CHECK_THROWS_AS(f(5), ShapeError);
    CHECK(f(2).tensor().shape() == Shape{2, 6});
    const Function g = function({i, j}, {arange(i, j), zeros({i, 2})});
    CHECK(equal(g(2, 5)[0], Tensor{2, 3, 4}));
    CHECK(g(2, 5)[1].shape() == Shape{2, 2});
  }
  SECTION("an extent that large data decides") {
    const Variable v = lvector("v");
    const Function f = function({v}, arange(max(v) + 1));
    CHECK(equal(f(Tensor{1, 3, 2}), Tensor{0, 1, 2, 3}));
    CHECK(equal(f(Tensor{1, 0, 0}), Tensor{0, 1}));
    CHECK_THROWS_AS(f.plan_graph({{3}}), ValueError);
  }
  SECTION("writing to a run-time place") {
    const Function f = function({x, i}, set_subtensor(x(slice(i, i + 1)), constant(Tensor{{9.f, 9.f}})));
    CHECK(equal(f(Tensor{{1.f, 2.f}, {3.f, 4.f}}, 1), Tensor{{1.f, 2.f}, {9.f, 9.f}}));
    CHECK(equal(f(Tensor{{1.f, 2.f}, {3.f, 4.f}}, 0), Tensor{{9.f, 9.f}, {3.f, 4.f}}));
  }
  SECTION("minibatch gradients") {
    SharedVariable w = shared(Tensor{1.f, 1.f, 1.f, 1.f, 1.f, 1.f}, "w");
    const Variable batch = data(slice(i * 2, (i + 1) * 2));
    const Variable g = grad(sum(sqr(batch * w)), w);
    const Function f = function({i}, {}, {.updates = {{w, w - 0.001 * g}}});
    PlanCounter plans(f);
    for (int at : {0, 1, 0, 1}) {
      f(at);
      plans.is_new();
    }
    CHECK(plans.count() == 1);
  }
}

TEST_CASE("shapes of degenerate size", "[runtime][plans]") {
  const Variable x = matrix("x");
  const Function f = function({x}, {x * 2, sum(x, 0), x.T(), sum(x)});
  for (const Shape& shape : {Shape{0, 3}, Shape{3, 0}, Shape{1, 1}, Shape{0, 0}, Shape{1, 7}}) {
    const Outputs results = f(Tensor::ones(shape));
    CHECK(results[0].shape() == shape);
    CHECK(results[1].shape() == Shape{shape[1]});
    CHECK(results[2].shape() == Shape{shape[1], shape[0]});
    CHECK(results[3].item<float>() == static_cast<float>(shape.count()));
  }
}
