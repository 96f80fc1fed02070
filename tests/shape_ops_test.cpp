#include "croton/ops/shape_ops.h"

#include <catch2/catch.hpp>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/indexing.h"
#include "croton/ops/static_value.h"
#include "croton/ops/view_layout.h"
#include "nodes.h"
#include "random_cases.h"

using namespace croton;
using Catch::Matchers::Contains;
using test::label;

namespace {

Tensor counting(const Shape& shape, DType dtype = DType::float32) {
  return Tensor::arange(static_cast<double>(shape.count()), dtype).reshape(shape);
}

}  // namespace

TEST_CASE("dimshuffle permutes, adds and drops axes", "[ops][shape]") {
  const Variable x = tensor(DType::float32, {unknown, 1, 3}, "x");
  const Variable y = x.dimshuffle({2, 'x', 0});
  CHECK(to_string(y.type()) == "float32[3,1,?]");
  CHECK(label(y) == "InplaceDimShuffle{2,x,0}");
  const Tensor value = counting({2, 1, 3});
  const Tensor result = evaluate(y, {{x, value}});
  REQUIRE(result.shape() == Shape{3, 1, 2});
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) CHECK(result.at<float>({j, 0, i}) == value.at<float>({i, 0, j}));
  }
  CHECK(label(matrix("m").T()) == "InplaceDimShuffle{1,0}");
  CHECK(to_string(squeeze(x).type()) == "float32[?,3]");
  CHECK(to_string(squeeze(x, -2).type()) == "float32[?,3]");
  CHECK(to_string(expand_dims(x, -1).type()) == "float32[?,1,3,1]");
  CHECK(to_string(expand_dims(x, 0).type()) == "float32[1,?,1,3]");
  CHECK(to_string(shape_padleft(x, 2).type()) == "float32[1,1,?,1,3]");
  CHECK(to_string(shape_padright(x).type()) == "float32[?,1,3,1]");
  CHECK(to_string(swapaxes(x, 0, -1).type()) == "float32[3,1,?]");
  CHECK(to_string(transpose(x, {1, 2, 0}).type()) == "float32[1,3,?]");
}

TEST_CASE("dimshuffle says what is wrong with a pattern", "[ops][shape][errors]") {
  const Variable x = tensor(DType::float32, {unknown, 3}, "x");
  CHECK_THROWS_WITH(x.dimshuffle({0}), Contains("drops axis 1 of float32[?,3]") && Contains("statically 1") &&
                                           Contains("x (float32[?,3]") && Contains("shape_ops_test.cpp"));
  CHECK_THROWS_AS(x.dimshuffle({0}), ShapeError);
  CHECK_THROWS_WITH(x.dimshuffle({0, 0, 1}), Contains("(0,0,1) names axis 0 twice"));
  CHECK_THROWS_AS(x.dimshuffle({0, 1, 2}), IndexError);
  CHECK_THROWS_AS(squeeze(x, 2), IndexError);
  CHECK_THROWS_AS(transpose(x, {0}), ValueError);
}

TEST_CASE("A reshape knows the extents that follow", "[ops][shape]") {
  const Variable x = tensor(DType::float32, {unknown, 3, 4}, "x");
  CHECK(to_string(x.reshape({-1, 12}).type()) == "float32[?,12]");
  CHECK(to_string(tensor(DType::float32, {2, 3, 4}).reshape({-1, 12}).type()) == "float32[2,12]");
  CHECK(to_string(tensor(DType::float32, {2, 3, 4}).reshape({4, -1, 1}).type()) == "float32[4,6,1]");
  CHECK(to_string(reshape(x, {x.shape(0), 12}).type()) == "float32[?,12]");
  CHECK(to_string(reshape(x, {x.shape(1), -1, x.shape(2) * 2}).type()) == "float32[3,?,8]");
  CHECK(to_string(reshape(x, SymbolicShape(lvector("s"), 2)).type()) == "float32[?,?]");
  CHECK(to_string(x.flatten(2).type()) == "float32[?,12]");
  CHECK(to_string(x.flatten().type()) == "float32[?]");
  CHECK(to_string(scalar("s").flatten().type()) == "float32[1]");
  CHECK(label(x.flatten(2)) == "Reshape{2}");
  CHECK(x.flatten(3) == x);
  // The extents of a type that is known make a symbolic shape static.
  const Variable known = tensor(DType::float32, {2, 3, 4});
  CHECK(to_string(reshape(known, known.shape()(slice(none, none, -1))).type()) == "float32[4,3,2]");
}

TEST_CASE("A reshape computes, and refuses what does not fit", "[ops][shape][errors]") {
  const Variable x = matrix("x");
  CHECK(equal(evaluate(x.reshape({-1, 2}), {{x, counting({4, 3})}}), counting({6, 2})));
  CHECK(equal(evaluate(x.flatten(), {{x, counting({2, 3}).transpose()}}),
              Tensor({0.f, 3.f, 1.f, 4.f, 2.f, 5.f})));
  const Variable t = tensor4("t");
  CHECK(evaluate(t.flatten(2), {{t, Tensor::zeros({0, 3, 2, 2}, DType::float32)}}).shape() == Shape{0, 12});
  CHECK_THROWS_WITH(evaluate(x.reshape({-1, 2}), {{x, counting({3, 3})}}),
                    Contains("cannot reshape (3, 3) (9 elements) to (?, 2)"));
  CHECK_THROWS_WITH(tensor(DType::float32, {3, 3}, "y").reshape({4, 2}),
                    Contains("cannot reshape (3, 3) (9 elements) to (4, 2)") && Contains("y (float32[3,3]"));
  CHECK_THROWS_AS(x.reshape({-1, -1}), ShapeError);
  CHECK_THROWS_AS(x.reshape({-2}), ShapeError);
  CHECK_THROWS_AS(x.flatten(0), ValueError);
  CHECK_THROWS_AS(reshape(x, SymbolicShape(vector("s"), 1)), TypeError);
  CHECK_THROWS_WITH(reshape(x, lvector("s")), Contains("is not known: give ndim"));
  CHECK_THROWS_AS(reshape(x, {scalar("f"), 1}), TypeError);
}

TEST_CASE("shape, shape_i and specify_shape", "[ops][shape]") {
  const Variable x = tensor(DType::float32, {unknown, 3}, "x");
  CHECK(equal(evaluate(x.shape(), {{x, counting({5, 3})}}), Tensor({5, 3})));
  CHECK(evaluate(x.shape(-2), {{x, counting({5, 3})}}).item<std::int64_t>() == 5);
  CHECK(label(x.shape()) == "Shape");
  CHECK(label(x.shape(1)) == "Shape_i{1}");
  CHECK_THROWS_AS(x.shape(2), IndexError);
  const Variable y = specify_shape(x, {5, unknown});
  CHECK(to_string(y.type()) == "float32[5,3]");
  CHECK(equal(evaluate(y, {{x, counting({5, 3})}}), counting({5, 3})));
  CHECK_THROWS_WITH(evaluate(y, {{x, counting({4, 3})}}), Contains("expected (5, ?), got (4, 3)"));
  CHECK_THROWS_AS(specify_shape(x, {unknown, 4}), ShapeError);
  CHECK_THROWS_AS(specify_shape(x, {unknown}), TypeError);
  CHECK_THROWS_AS(specify_shape(x, {-2, 3}), ValueError);
  CHECK(to_string(make_vector({x.shape(0), 2}).type()) == "int64[2]");
  CHECK(to_string(make_vector({}).type()) == "int64[0]");
  const Variable s = fscalar("s");
  CHECK(evaluate(make_vector({1.5, s}), {{s, Tensor(2.f)}}).to_vector<float>() ==
        std::vector<float>{1.5f, 2});
}

TEST_CASE("alloc, full, zeros, ones and arange", "[ops][shape]") {
  const Variable n = lscalar("n"), x = tensor(DType::float32, {unknown, 1}, "x");
  CHECK(to_string(zeros({2, n}).type()) == "float32[2,?]");
  CHECK(to_string(ones({n}, DType::int8).type()) == "int8[?]");
  CHECK(to_string(full({2}, 3).type()) == "int64[2]");
  CHECK(to_string(zeros(Shape{}).type()) == "float32[]");
  CHECK(equal(evaluate(full({2, n}, 1.5), {{n, Tensor(3)}}),
              Tensor::full({2, 3}, Tensor(1.5f), DType::float32)));
  const Variable spread = alloc(x, {2, n, 3});
  CHECK(to_string(spread.type()) == "float32[2,?,3]");
  const Tensor column = counting({4, 1});
  CHECK(equal(evaluate(spread, {{x, column}, {n, Tensor(4)}}), column.broadcast_to({2, 4, 3})));
  CHECK_THROWS_WITH(evaluate(spread, {{x, column}, {n, Tensor(5)}}),
                    Contains("a value of shape (4, 1) does not broadcast to an extent of 5"));
  // An extent of 1 that the type does not know does not spread.
  CHECK_THROWS_WITH(evaluate(spread, {{x, counting({1, 1})}, {n, Tensor(5)}}), Contains("broadcastable"));
  CHECK_THROWS_AS(alloc(counting({2}), {3}), ShapeError);
  CHECK_THROWS_AS(alloc(x, {3}), TypeError);
  CHECK_THROWS_WITH(zeros({-1}), Contains("an extent is -1") && Contains("shape_ops_test.cpp"));
  CHECK_THAT(describe(zeros(Shape{2})), Contains("shape_ops_test.cpp"));
  CHECK_THROWS_AS(evaluate(zeros({n}), {{n, Tensor(-2)}}), ShapeError);

  CHECK(to_string(arange(5).type()) == "int64[5]");
  CHECK(equal(evaluate(arange(7, 0, -3)), Tensor({7, 4, 1})));
  CHECK(equal(evaluate(arange(2, n, 2), {{n, Tensor(7)}}), Tensor({2, 4, 6})));
  CHECK(to_string(arange(n).type()) == "int64[?]");
  CHECK(evaluate(arange(3, 3)).size() == 0);
  CHECK(evaluate(arange(0.0, 1.0, 0.25)).to_vector<float>() == std::vector<float>{0, .25f, .5f, .75f});
  CHECK(equal(evaluate(arange(0, 3, 1, DType::uint8)), Tensor(std::vector<std::uint8_t>{0, 1, 2})));
  CHECK_THROWS_AS(arange(0, 3, 0), ValueError);
  CHECK_THROWS_AS(arange(0.0, 3.0, 0.0), ValueError);
}

TEST_CASE("join, stack, split and tile against plain copies", "[ops][shape]") {
  std::mt19937 random(7);
  for (int i = 0; i < test::random_cases(200); ++i) {
    const int rank = 1 + static_cast<int>(random() % 3), axis = static_cast<int>(random() % rank);
    Shape shape;
    for (int k = 0; k < rank; ++k) shape.push_back(random() % 4);
    std::vector<Operand> inputs;
    std::unordered_map<Variable, Tensor> values;
    std::vector<std::int64_t> sizes;
    Tensor expected = counting(shape);
    Shape whole = shape;
    whole[axis] = 0;
    for (int k = 0; k < 1 + static_cast<int>(random() % 3); ++k) {
      sizes.push_back(random() % 4);
      whole[axis] += sizes.back();
    }
    expected = counting(whole);
    std::int64_t at = 0;
    for (const std::int64_t size : sizes) {
      const Variable input = tensor(DType::float32, Shape::filled(rank, unknown));
      values[input] = expected.slice(axis, at, at + size);
      at += size;
      inputs.emplace_back(input);
    }
    const Variable joined = concatenate(inputs, random() % 2 ? axis : axis - rank);
    CHECK(equal(evaluate(joined, values), expected));
    const std::vector<Variable> pieces = split(joined, sizes, axis);
    const std::vector<Tensor> parts = evaluate(pieces, values);
    for (std::size_t k = 0; k < parts.size(); ++k) CHECK(equal(parts[k], values[inputs[k].variable()]));
  }
  const Variable a = vector("a"), b = vector("b");
  const std::unordered_map<Variable, Tensor> two = {{a, Tensor({1.f, 2.f})}, {b, Tensor({3.f, 4.f})}};
  CHECK(equal(evaluate(stack({a, b}), two), Tensor({{1.f, 2.f}, {3.f, 4.f}})));
  CHECK(equal(evaluate(stack({a, b}, -1), two), Tensor({{1.f, 3.f}, {2.f, 4.f}})));
  CHECK(equal(evaluate(tile(a, {2, 2}), two), Tensor({{1.f, 2.f, 1.f, 2.f}, {1.f, 2.f, 1.f, 2.f}})));
  CHECK(evaluate(tile(a, {0}), two).size() == 0);
  CHECK(to_string(join(0, {a, lvector("n")}).type()) == "float32[?]");
  CHECK(label(join(0, {a, b})) == "Join{axis=0}");
  CHECK_THROWS_AS(join(0, {a, matrix("m")}), TypeError);
  CHECK_THROWS_AS(join(1, {a, b}), IndexError);
  CHECK_THROWS_AS(join(0, {}), TypeError);
  CHECK_THROWS_WITH(join(0, {tensor(DType::float32, {2, 3}), tensor(DType::float32, {2, 4}, "q")}),
                    Contains("extent 3 on axis 1, operand 1 has 4") && Contains("q (float32[2,4]"));
  const Variable m = matrix("m"), q = matrix("q");
  CHECK_THROWS_WITH(evaluate(join(0, {m, q}), {{m, counting({2, 3})}, {q, counting({2, 4})}}),
                    Contains("operand 0 has shape (2, 3), operand 1 has (2, 4)"));
  CHECK_THROWS_AS(evaluate(split(a, {1, 2})[0], two), ShapeError);
  CHECK_THROWS_AS(split(a, {-1}), ValueError);
}

TEST_CASE("A view's layout is what evaluating it copies", "[ops][shape][view]") {
  std::mt19937 random(3);
  int copies = 0;
  for (int i = 0; i < test::random_cases(500); ++i) {
    // A strided piece of a larger tensor, its axes in any order.
    const int rank = 1 + static_cast<int>(random() % 3);
    Tensor value = counting(Shape::filled(rank, 6));
    for (int axis = 0; axis < rank; ++axis) {
      const std::int64_t step = static_cast<std::int64_t>(random() % 3) + 1;
      value = random() % 2 ? value.slice(axis, {}, {}, step)
                           : value.slice(axis, {}, {}, -static_cast<std::int64_t>(random() % 2) - 1);
    }
    if (random() % 2) value = value.transpose();
    const Variable x = tensor(DType::float32, Shape::filled(rank, unknown));
    Variable y;
    switch (random() % 3) {
      case 0:
        y = x.T();
        break;
      case 1:
        y = x.reshape({-1, value.shape()[0]});
        break;
      default:
        y = x(slice(1, none, 2));
        break;
    }
    const auto layout = view_layout(*y.node(), value.shape(), value.strides());
    if (!layout) {
      ++copies;  // only a reshape may need one
      CHECK(&y.node()->op() == &reshape_op());
      continue;
    }
    CHECK(equal(apply_view(value, *layout), evaluate(y, {{x, value}})));
  }
  CHECK(copies > 0);
  const Variable x = matrix("x");
  const auto layout = view_layout(*x.reshape({2, 3, 2}).node(), {6, 2}, {10, 1});
  REQUIRE(layout);
  CHECK(layout->strides == Shape{30, 10, 1});
  CHECK_FALSE(view_layout(*x.reshape({12}).node(), {6, 2}, {10, 1}));
}

TEST_CASE("Values that follow from static shapes", "[ops][shape][static_value]") {
  const Variable x = tensor(DType::float32, {unknown, 3, 4}, "x");
  CHECK(static_integer(x.shape(1)) == 3);
  CHECK_FALSE(static_integer(x.shape(0)));
  CHECK(static_integer(x.shape(1) * x.shape(2) + 1) == 13);
  CHECK(static_integer(x.shape()(2)) == 4);
  CHECK_FALSE(static_integer(x.shape()(0)));
  const auto entries = static_integers(join(0, {x.shape()(slice(none, none, -1)), make_vector({7})}));
  REQUIRE(entries);
  CHECK(*entries == std::vector<std::optional<std::int64_t>>{4, 3, std::nullopt, 7});
  CHECK_FALSE(static_value(lvector("v")));
  // A long chain is not followed to its end.
  Variable sum = x.shape(1);
  for (int i = 0; i < 100000; ++i) sum = sum + 1;
  CHECK_FALSE(static_integer(sum));
}
