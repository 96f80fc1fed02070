#include "croton/ops/indexing.h"

#include <catch2/catch.hpp>
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

Tensor counting(const Shape& shape, DType dtype = DType::float32) {
  return Tensor::arange(static_cast<double>(shape.count()), dtype).reshape(shape);
}

std::int64_t between(std::mt19937& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

// A random index of a tensor, what Tensor's own slicing makes of it, and the values of its symbolic integers.
struct RandomIndex {
  std::vector<Subscript> subscripts;
  Tensor part;
  std::unordered_map<Variable, Tensor> values;

  RandomIndex(std::mt19937& random, const Tensor& whole) : part(whole) {
    const auto number = [&](std::int64_t value) -> Operand {
      if (random() % 2) return value;
      const Variable symbol = random() % 2 ? lscalar() : iscalar();
      values[symbol] = Tensor(value).astype(symbol.dtype());
      return symbol;
    };
    int axis = 0;  // of `part`
    const int named = static_cast<int>(between(random, 0, whole.rank()));
    const bool from_behind = random() % 3 == 0;
    if (from_behind) {
      subscripts.emplace_back(ellipsis);
      axis = whole.rank() - named;
    }
    for (int i = 0; i < named; ++i) {
      if (random() % 4 == 0) {
        subscripts.emplace_back(newaxis);
        Shape shape = part.shape(), strides = part.strides();
        shape.insert(axis, 1);
        strides.insert(axis, 0);
        part = Tensor::view(part.raw_data(), part.dtype(), shape, strides, nullptr);
        ++axis;
      }
      const std::int64_t n = part.shape()[axis];
      if (random() % 3 == 0 && n > 0) {
        const std::int64_t at = between(random, -n, n - 1);
        subscripts.emplace_back(number(at));
        part = part.select(axis, at);
      } else {
        std::optional<std::int64_t> start, stop;
        std::int64_t step = between(random, -3, 3);
        if (step == 0) step = 1;
        if (random() % 2) start = between(random, -n - 2, n + 2);
        if (random() % 2) stop = between(random, -n - 2, n + 2);
        subscripts.emplace_back(slice(start ? Bound(number(*start)) : Bound(none),
                                      stop ? Bound(number(*stop)) : Bound(none), Bound(number(step))));
        part = part.slice(axis, start, stop, step);
        ++axis;
      }
    }
  }
};

Shape random_shape(std::mt19937& random) {
  Shape shape;
  for (std::int64_t i = between(random, 0, 3); i >= 0; --i) shape.push_back(between(random, 0, 5));
  return shape;
}

}  // namespace

TEST_CASE("Basic indexing is NumPy's", "[ops][indexing]") {
  std::mt19937 random(11);
  for (int i = 0; i < test::random_cases(600); ++i) {
    const Tensor whole = counting(random_shape(random));
    const RandomIndex index(random, whole);
    const bool is_static = random() % 2;
    const Variable x =
        tensor(DType::float32, is_static ? whole.shape() : Shape::filled(whole.shape().size(), unknown), "x");
    const Variable part = x.index(index.subscripts);
    CHECK(compatible(part.type(), {DType::float32, index.part.shape()}));
    if (is_static && index.values.empty()) CHECK(part.type().shape == index.part.shape());
    auto values = index.values;
    values[x] = whole;
    CHECK(equal(evaluate(part, values), index.part));
  }
}

TEST_CASE("set_subtensor and inc_subtensor change the part alone", "[ops][indexing]") {
  std::mt19937 random(12);
  for (int i = 0; i < test::random_cases(400); ++i) {
    const Tensor whole = counting(random_shape(random));
    Tensor expected = whole.copy();
    const RandomIndex index(random, expected);
    const Variable x = tensor(DType::float32, Shape::filled(whole.shape().size(), unknown), "x");
    // The values broadcast along axes of static extent 1, and from fewer axes.
    Shape extents = index.part.shape(), types;
    for (std::int64_t& extent : extents) {
      if (random() % 4 == 0) extent = 1;
    }
    while (extents.size() > 0 && random() % 5 == 0) extents.erase(0);
    for (const std::int64_t extent : extents) types.push_back(extent == 1 ? 1 : unknown);
    const Variable y = tensor(DType::float32, types, "y");
    const Tensor added = Tensor::full(extents, Tensor(100.f), DType::float32);
    const bool set = random() % 2;
    const Variable part = x.index(index.subscripts);
    const Variable changed = set ? set_subtensor(part, y) : inc_subtensor(part, y);
    auto values = index.values;
    values[x] = whole;
    values[y] = added;
    const Tensor result = evaluate(changed, values);
    for_each_index(index.part.shape(), [&](const Shape& at) {
      index.part.at<float>(at) = set ? 100.f : index.part.at<float>(at) + 100.f;
    });
    CHECK(equal(result, expected));
    CHECK(changed.type() == x.type());
  }
}

TEST_CASE("Labels and attributes of indexing", "[ops][indexing]") {
  const Variable x = matrix("x"), i = lscalar("i");
  CHECK(label(x(slice(1, i), 3)) == "Subtensor{1:int64:, 3}");
  CHECK(label(x(all, i)) == "Subtensor{::, int64}");
  CHECK(label(x(slice(none, none, -1))) == "Subtensor{::-1}");
  CHECK(label(set_subtensor(x(i), 0)) == "IncSubtensor{Set;int64}");
  CHECK(label(inc_subtensor(x(slice(2, 4)), x(0))) == "IncSubtensor{Inc;2:4:}");
  const IndexPattern pattern = {
      {.is_integer = true, .start = {IndexField::Kind::constant, -1}, .stop = {}, .step = {}},
      {.is_integer = false,
       .start = {IndexField::Kind::input, 0},
       .stop = {},
       .step = {IndexField::Kind::constant, 2}}};
  CHECK(decode_index(encode_index(pattern)) == pattern);
  CHECK_THROWS_AS(decode_index(std::vector<std::int64_t>{1, 0, 0}), ValueError);
  CHECK_THROWS_AS(decode_index(std::vector<std::int64_t>{0, 7, 0}), ValueError);
  // Equal indices make equal nodes, however they were written.
  CHECK(x(1, all).node()->attributes() == x(1, ellipsis).node()->attributes());
  const auto selection = static_selection(*x(slice(-3, none, 2), 1).node(), {7, 5});
  REQUIRE(selection);
  CHECK((*selection)[0].start == 4);
  CHECK((*selection)[0].extent == 2);
  CHECK((*selection)[1].dropped);
  CHECK_FALSE(static_selection(*x(i).node(), {7, 5}));
}

TEST_CASE("Extreme bounds do not overflow", "[ops][indexing]") {
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const Variable x = vector("x");
  const Tensor value = counting({5});
  CHECK(equal(evaluate(x(slice(least, most, most)), {{x, value}}), Tensor({0.f})));
  CHECK(equal(evaluate(x(slice(most, least, least)), {{x, value}}), Tensor({4.f})));
  CHECK(equal(evaluate(x(slice(most, least, -1)), {{x, value}}), value.slice(0, {}, {}, -1)));
  CHECK_THROWS_AS(evaluate(x(least), {{x, value}}), IndexError);
}

TEST_CASE("Wrong indices are told", "[ops][indexing][errors]") {
  const Variable x = tensor(DType::float32, {3, unknown}, "x"), i = lscalar("i");
  CHECK_THROWS_WITH(x(3), Contains("index 3 is outside axis 0 of extent 3") && Contains("x (float32[3,?]") &&
                              Contains("indexing_test.cpp"));
  CHECK_THROWS_AS(x(-4), IndexError);
  CHECK_THROWS_WITH(evaluate(x(0, i), {{x, counting({3, 2})}, {i, Tensor(2)}}),
                    Contains("index 2 is outside axis 1 of extent 2"));
  CHECK_THROWS_AS(evaluate(x(0, i), {{x, counting({3, 2})}, {i, Tensor(-3)}}), IndexError);
  CHECK_THROWS_AS(x(0, 0, 0), IndexError);
  CHECK_THROWS_AS(x(ellipsis, 0, ellipsis), IndexError);
  CHECK_THROWS_AS(x(slice(none, none, 0)), ValueError);
  CHECK_THROWS_AS(evaluate(x(slice(none, none, i)), {{x, counting({3, 2})}, {i, Tensor(0)}}), ValueError);
  CHECK_THROWS_WITH(x(gt(i, 0)), Contains("a bool is no index"));
  CHECK_THROWS_AS(x(fscalar("f")), TypeError);
  CHECK_THROWS_AS(x(lvector("v")), TypeError);
  CHECK_THROWS_WITH(set_subtensor(x, 1), Contains("is no indexing expression") && Contains("x(slice(1, 5))"));
  CHECK_THROWS_AS(set_subtensor(x(0), matrix("m")), TypeError);
  CHECK_THROWS_AS(set_subtensor(x(0), dvector("d")), TypeError);
  CHECK_THROWS_AS(inc_subtensor(tensor(DType::bool_, {unknown})(0), true), TypeError);
  CHECK_THROWS_WITH(set_subtensor(x(slice(0, 2)), tensor(DType::float32, {3, unknown})),
                    Contains("has shape (2, ?), the values for it (3, ?)"));
  const Variable y = vector("y");
  CHECK_THROWS_WITH(evaluate(set_subtensor(x(0), y), {{x, counting({3, 2})}, {y, counting({3})}}),
                    Contains("the indexed part has shape (2,), the values for it (3,)"));
}

TEST_CASE("set_subtensor sees through dimshuffle, reshape and flatten", "[ops][indexing]") {
  const Variable x = matrix("x"), y = matrix("y"), v = vector("v");
  const Tensor value = counting({3, 4});
  const std::unordered_map<Variable, Tensor> values = {
      {x, value},
      {y, Tensor::full({4, 2}, Tensor(-1.f), DType::float32)},
      {v, Tensor::full({4}, Tensor(-1.f), DType::float32)}};
  Tensor expected = value.copy();
  expected.slice(0, 1).fill(Tensor(-1.f));
  CHECK(equal(evaluate(set_subtensor(x(slice(1, none)).T(), y), values), expected));
  CHECK(equal(evaluate(set_subtensor(x(slice(1, none)).flatten(), -1), values), expected));
  Tensor row = value.copy();
  row[2].fill(Tensor(-1.f));
  CHECK(equal(evaluate(set_subtensor(x(2, newaxis), v), values), row));
  CHECK(equal(evaluate(set_subtensor(x(2, newaxis), v.dimshuffle({'x', 0})), values), row));
  CHECK(equal(evaluate(set_subtensor(x(2).reshape({2, 2}), -1), values), row));
}

TEST_CASE("Gradients of indexing", "[ops][indexing][grad]") {
  const Tensor x = counting({4, 5}, DType::float64), row = counting({5}, DType::float64);
  const auto check = [](auto f, const std::vector<Tensor>& points) { verify_grad(f, points); };
  check([](const std::vector<Variable>& v) { return v[0](slice(none, none, -2), slice(1, 4)); }, {x});
  check([](const std::vector<Variable>& v) { return v[0](2, newaxis, -1); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(set_subtensor(v[0](slice(1, 3)), v[1])); }, {x, row});
  check([](const std::vector<Variable>& v) { return sqr(inc_subtensor(v[0](slice(1, 3)), v[1])); }, {x, row});
  check(
      [](const std::vector<Variable>& v) {
        return sqr(inc_subtensor(v[0].T()(all, slice(1, 3)), v[0](0)(0)));
      },
      {x});
  // A symbolic integer takes no gradient; the second order is there too.
  const Variable m = dmatrix("m"), i = lscalar("i");
  const Variable g = grad(sum(sqr(m(i))), m);
  const Tensor first = evaluate(g, {{m, x}, {i, Tensor(1)}});
  CHECK(first.at<double>({1, 2}) == 14);
  CHECK(first.at<double>({0, 2}) == 0);
  check([](const std::vector<Variable>& v) { return grad(sum(sqr(v[0](1)) * v[0](1)), v[0]); }, {x});
}

TEST_CASE("Gradients of shape ops and joins", "[ops][shape][grad]") {
  const Tensor x = counting({3, 4}, DType::float64), y = counting({2, 4}, DType::float64);
  const auto check = [](auto f, const std::vector<Tensor>& points) { verify_grad(f, points); };
  check([](const std::vector<Variable>& v) { return sqr(v[0].dimshuffle({1, 'x', 0})); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(v[0].reshape({2, -1}).T()); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(v[0].flatten()); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(concatenate({v[0], v[1], v[0]})); }, {x, y});
  check([](const std::vector<Variable>& v) { return sqr(stack({v[0], v[0] * 2}, 1)); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(alloc(v[0](0, 1), {2, 3})); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(alloc(v[0].reshape({3, 1, 4}), {2, 3, 5, 4})); },
        {x});
  check([](const std::vector<Variable>& v) { return sqr(tile(v[0], {2, 3})); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(make_vector({v[0](0, 1), v[0](1, 1)})); }, {x});
  check([](const std::vector<Variable>& v) { return sqr(contiguous(specify_shape(v[0], {3, unknown}).T())); },
        {x});
  check(
      [](const std::vector<Variable>& v) { return sqr(arange(v[0], 10.0, v[0] * 0 + 0.75, DType::float64)); },
      {Tensor(1.2)});
  const Variable m = dmatrix("m");
  CHECK_THROWS_AS(grad(sum(cast(m.shape(0), DType::float64)), m), DisconnectedInputError);
}
