#include "croton/ops/composite.h"

#include <catch2/catch.hpp>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/tensor.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/reduce.h"
#include "random_cases.h"
#include "tensor_values.h"

using namespace croton;
using namespace croton::test;

namespace {

using Body = std::shared_ptr<const Subgraph>;

/// A random expression over `values`, which grow by it.
void grow(std::vector<Variable>& values, std::mt19937_64& generator) {
  const auto pick = [&] { return values[generator() % values.size()]; };
  const Variable a = pick(), b = pick();
  switch (generator() % 8) {
    case 0:
      return values.push_back(a + b);
    case 1:
      return values.push_back(mul(a, b, pick()));
    case 2:
      return values.push_back(tanh(a));
    case 3:
      return values.push_back(a * 0.5 - 1);
    case 4:
      return values.push_back(switch_(a > b, a, sqr(b)));
    case 5:
      return values.push_back(maximum(a, b, 0.25));
    case 6:
      return values.push_back(cast(cast(a, DType::int16), DType::float32));
    default:
      return values.push_back(clip(a, -2, 2));
  }
}

Variable scalar_input() { return tensor(DType::float32, {}); }

}  // namespace

TEST_CASE("A Composite computes what its body says", "[ops][composite]") {
  for (int trial = 0; trial < random_cases(200); ++trial) {
    std::mt19937_64 generator(static_cast<std::uint64_t>(trial));
    const std::vector<Shape> shapes = {{3, 5}, {3, 1}, {1, 5}, {1, 1}};
    std::vector<Variable> inputs, scalars;
    std::unordered_map<Variable, Tensor> values;
    const std::size_t count = 1 + generator() % 3;
    for (std::size_t i = 0; i < count; ++i) {
      const Shape shape = shapes[i == 0 ? 0 : generator() % shapes.size()];
      inputs.push_back(tensor(DType::float32, shape));
      scalars.push_back(scalar_input());
      values.emplace(inputs.back(), random_tensor(shape, DType::float32, generator));
    }
    // The same choices over the tensors and over the scalars.
    std::vector<Variable> full = inputs, body = scalars;
    const std::size_t steps = 1 + generator() % 12;
    std::mt19937_64 first(static_cast<std::uint64_t>(trial) + 1000), second_run = first;
    for (std::size_t i = 0; i < steps; ++i) {
      grow(full, first);
      grow(body, second_run);
    }
    const auto node = make_composite(
        std::make_shared<const Subgraph>(scalars, std::vector<Variable>{body.back(), body[body.size() / 2]}),
        inputs);
    const std::vector<Variable> outputs{node->output(0), node->output(1)};
    const std::vector<Tensor> got = evaluate(outputs, values);
    const std::vector<Variable> wanted{full.back(), full[full.size() / 2]};
    const std::vector<Tensor> expected = evaluate(wanted, values);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(node->type(i).shape == Shape{3, 5});
      CHECK(equal_values(got[i], expected[i].broadcast_to({3, 5}).copy()));
    }
  }
}

TEST_CASE("Composites print as Theano prints them", "[ops][composite]") {
  const Variable a = scalar_input(), b = scalar_input();
  const auto text = [&](std::vector<Variable> outputs) { return composite_text(Subgraph({a, b}, outputs)); };
  CHECK(text({tanh(a + b)}) == "tanh((i0 + i1))");
  CHECK(text({add(a, b, a) * 2.5}) == "((i0 + i1 + i0) * 2.5)");
  CHECK(text({-a / b}) == "((-i0) / i1)");
  CHECK(text({cast(a < b, DType::float32)}) == "Cast{float32}((i0 < i1))");
  CHECK(text({switch_(eq(a, b), maximum(a, b, 1), pow(a, 2))}) ==
        "switch(eq(i0, i1), maximum(i0, i1, 1.0), (i0 ** 2.0))");
  CHECK(text({a + b, a * b}) == "[(i0 + i1), (i0 * i1)]");

  const Variable x = matrix("x"), y = row("y");
  const Body body =
      std::make_shared<const Subgraph>(std::vector<Variable>{a, b}, std::vector<Variable>{tanh(a + b)});
  const auto node = make_composite(body, {x, y});
  CHECK(node->op().label(*node) == "Elemwise{Composite{tanh((i0 + i1))}}");
  CHECK(node->op().inplace_candidates(*node) == std::vector<std::pair<int, int>>{{0, 0}});
  const Variable inplace =
      apply_op(composite_op(), {x, y}, {{"body", body}, {"inplace", std::vector<std::int64_t>{0, 0}}});
  CHECK(inplace.node()->op().label(*inplace.node()) == "Elemwise{Composite{tanh((i0 + i1))}}[(0, 0)]");
}

TEST_CASE("The text of a Composite with shared values stays short", "[ops][composite]") {
  const Variable a = scalar_input();
  Variable x = a;
  for (int i = 0; i < 60; ++i) x = x * x + x;
  CHECK(composite_text(Subgraph({a}, {x})).size() < 20000);
}

TEST_CASE("A Composite refuses what is not elementwise on scalars", "[ops][composite]") {
  const Variable a = scalar_input(), b = scalar_input(), v = fvector();
  const Variable x = matrix("x");
  const auto subgraph = [](std::vector<Variable> in, std::vector<Variable> out) {
    return std::make_shared<const Subgraph>(in, out);
  };
  CHECK_THROWS_AS(make_composite(subgraph({a, b}, {a + b}), {x}), TypeError);
  CHECK_THROWS_AS(make_composite(subgraph({a}, {a + 1}), {dmatrix()}), TypeError);
  CHECK_THROWS_AS(make_composite(subgraph({v}, {v + 1}), {x}), TypeError);
  CHECK_THROWS_AS(make_composite(subgraph({a}, {a.dimshuffle({})}), {x}), TypeError);
  CHECK_THROWS_AS(make_composite(subgraph({a, b}, {a + b}),
                                 {tensor(DType::float32, {2, 3}), tensor(DType::float32, {2, 4})}),
                  ShapeError);
  CHECK_THROWS_AS(apply_op(composite_op(), {x}), TypeError);
}

TEST_CASE("CompositeReduce reduces what its body computes", "[ops][composite]") {
  std::mt19937_64 generator(6);
  const Variable a = scalar_input(), b = scalar_input(), s = scalar_input(), t = scalar_input(),
                 e = scalar_input();
  const Body body =
      std::make_shared<const Subgraph>(std::vector<Variable>{a, b}, std::vector<Variable>{sqr(a - b), a});
  const Body epilogue = std::make_shared<const Subgraph>(std::vector<Variable>{s, t, e},
                                                         std::vector<Variable>{sqrt(s) + t * e});
  for (const char* op : {"sum", "prod", "max", "min"}) {
    for (const std::vector<std::int64_t>& axes : {std::vector<std::int64_t>{0}, {1}, {0, 1}}) {
      INFO(op << " over " << axes.size());
      const Variable x = matrix("x"), r = row("r");
      const Variable extra = axes.size() == 2 ? scalar("e") : vector("e");
      const ReduceOp& reduction = *find_reduce(op);
      const Variable first = reduce(reduction, sqr(x - r), axes), second_value = reduce(reduction, x, axes);
      const Variable expected = sqrt(first) + second_value * extra;
      const std::unordered_map<Variable, Tensor> values{
          {x, random_tensor({4, 4}, DType::float32, generator)},
          {r, random_tensor({1, 4}, DType::float32, generator)},
          {extra, random_tensor(axes.size() == 2 ? Shape{} : Shape{4}, DType::float32, generator)}};
      const auto plain = make_composite_reduce({body, op, axes, nullptr}, {x, r});
      CHECK(equal_values(evaluate(plain->output(0), values), evaluate(first, values)));
      CHECK(equal_values(evaluate(plain->output(1), values), evaluate(second_value, values)));
      const auto fused = make_composite_reduce({body, op, axes, epilogue}, {x, r, extra});
      CHECK(fused->output_count() == 1);
      CHECK(equal_values(evaluate(fused->output(), values), evaluate(expected, values)));
      CHECK(composite_reduce_parts(*fused).op == op);
    }
  }
  const Variable x = matrix("x"), r = row("r");
  const auto node = make_composite_reduce({body, "sum", {1}, epilogue}, {x, r, vector("e")});
  CHECK(node->op().label(*node) ==
        "CompositeReduce{sum, [sqr((i0 - i1)), i0], (sqrt(i0) + (i1 * i2)), axis=[1]}");
  CHECK_THROWS_AS(make_composite_reduce({body, "sum", {1}, nullptr}, {x, r, vector("e")}), TypeError);
  CHECK_THROWS_AS(make_composite_reduce({body, "sum", {2}, nullptr}, {x, r}), IndexError);
  CHECK_THROWS_AS(make_composite_reduce({body, "median", {1}, nullptr}, {x, r}), TypeError);
  CHECK_THROWS_AS(make_composite_reduce({body, "sum", {1}, epilogue}, {x, r, scalar("e")}), TypeError);
}
