#include "croton/ops/elementwise.h"

#include <catch2/catch.hpp>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "message_of.h"
#include "nodes.h"
#include "random_cases.h"
#include "tensor_values.h"

using namespace croton;
using test::label;
using namespace croton::test;

TEST_CASE("The constructors of inputs", "[ops][creation]") {
  CHECK(to_string(matrix("X").type()) == "float32[?,?]");
  CHECK(matrix("X").name() == "X");
  CHECK(to_string(scalar().type()) == "float32[]");
  CHECK(to_string(row().type()) == "float32[1,?]");
  CHECK(to_string(dcol().type()) == "float64[?,1]");
  CHECK(to_string(ivector("y").type()) == "int32[?]");
  CHECK(to_string(lscalar().type()) == "int64[]");
  CHECK(to_string(wtensor3().type()) == "int16[?,?,?]");
  CHECK(to_string(btensor4().type()) == "int8[?,?,?,?]");
  CHECK(to_string(ftensor5().type()) == "float32[?,?,?,?,?]");
  CHECK(to_string(tensor(DType::bfloat16, {3, unknown}, "w").type()) == "bfloat16[3,?]");
  CHECK_THROWS_AS(tensor(DType::float32, {-2}), ValueError);
}

TEST_CASE("Result dtypes", "[ops][elementwise]") {
  const Variable f = fvector(), d = dvector(), i = ivector(), b = bvector(), l = lvector(),
                 h = tensor(DType::float16, {unknown}), t = tensor(DType::bool_, {unknown}),
                 u = tensor(DType::uint64, {unknown});
  CHECK((f + d).dtype() == DType::float64);
  CHECK((f + l).dtype() == DType::float32);
  CHECK((h + l).dtype() == DType::float16);
  CHECK((b + i).dtype() == DType::int32);
  CHECK((l + u).dtype() == DType::float64);
  CHECK((t + t).dtype() == DType::bool_);
  CHECK((t * i).dtype() == DType::int32);
  CHECK((i / i).dtype() == DType::float32);
  CHECK((i / d).dtype() == DType::float64);
  CHECK(floor_div(i, b).dtype() == DType::int32);
  CHECK((t % t).dtype() == DType::int8);
  CHECK(pow(t, t).dtype() == DType::int8);
  CHECK(exp(i).dtype() == DType::float32);
  CHECK(exp(h).dtype() == DType::float16);
  CHECK(floor(i).dtype() == DType::int32);
  CHECK((i < d).dtype() == DType::bool_);
  CHECK((t & i).dtype() == DType::int32);
  CHECK((b << l).dtype() == DType::int64);
  CHECK(switch_(i, b, f).dtype() == DType::float32);
  CHECK(second(i, d).dtype() == DType::float64);
  CHECK(isnan(i).dtype() == DType::bool_);
}

TEST_CASE("Literals are weak", "[ops][elementwise]") {
  const Variable f = fvector(), d = dvector(), i = ivector(), b = bvector(),
                 t = tensor(DType::bool_, {unknown}), h = tensor(DType::float16, {unknown});
  CHECK((f * 0.5).dtype() == DType::float32);
  CHECK((d * 0.5f).dtype() == DType::float64);
  CHECK((h + 1).dtype() == DType::float16);
  CHECK((i * 0.5).dtype() == DType::float32);
  CHECK((b + 1).dtype() == DType::int8);
  CHECK((1 - b).dtype() == DType::int8);
  CHECK((t + 1).dtype() == DType::int64);
  CHECK((t + 0.5).dtype() == DType::float32);
  CHECK((b + true).dtype() == DType::int8);
  CHECK(switch_(t, 1, 0.5).dtype() == DType::float32);
  CHECK(maximum(i, 0).dtype() == DType::int32);
  CHECK(add(1, 2).dtype() == DType::int64);
  CHECK((f + Tensor(0.5)).dtype() == DType::float64);  // a tensor is not weak
  CHECK(label(f * 0.5) == "Elemwise{mul,no_inplace}");
  CHECK((f * 0.5).node()->input(1).is_constant());

  CHECK(message_of<ValueError>([&] { b + 128; }) ==
        "the literal 128 at elementwise_test.cpp does not fit int8 (-128 to 127): cast the other operand to "
        "a wider "
        "dtype, or the literal with constant(Tensor(…))");
  CHECK_THROWS_AS(tensor(DType::uint8, {}) - 256, ValueError);
  CHECK_THROWS_AS(tensor(DType::uint8, {}) * -1, ValueError);
  CHECK_NOTHROW(b + -128);
  // A comparison has an answer all the same.
  const Tensor bytes(std::vector<std::int8_t>{-128, 0, 127});
  CHECK(equal(evaluate(b < 128, {{b, bytes}}), Tensor{true, true, true}));
  const Variable u = tensor(DType::uint64, {unknown});
  CHECK(equal(evaluate(u > -1, {{u, Tensor(std::vector<std::uint64_t>{0, 7})}}), Tensor{true, true}));
}

TEST_CASE("Broadcasting is static", "[ops][elementwise]") {
  CHECK(to_string((tensor(DType::float32, {unknown, 3}) + tensor(DType::float32, {2, unknown})).type()) ==
        "float32[2,3]");
  CHECK(to_string((row() + col()).type()) == "float32[?,?]");
  CHECK(to_string((row() * 2).type()) == "float32[1,?]");
  CHECK(to_string((matrix() + vector()).type()) == "float32[?,?]");
  CHECK(label((matrix() + vector()).node()->input(1)) == "InplaceDimShuffle{x,0}");
  CHECK(message_of<ShapeError>([] {
          const Variable x = tensor(DType::float32, {2, 3}, "x"), y = tensor(DType::float32, {2, 4}, "y");
          x + y;
        }) ==
        "Input dimension mis-match. (input[0].shape[1] = 3, input[1].shape[1] = 4)\n"
        "  in add, made at elementwise_test.cpp\n"
        "  operand 0: x (float32[2,3], made at elementwise_test.cpp)\n"
        "  operand 1: y (float32[2,4], made at elementwise_test.cpp)");
}

TEST_CASE("An extent of 1 on an open axis does not broadcast", "[ops][elementwise]") {
  const Variable x = matrix("x"), y = matrix("y");
  const Variable z = x + y;
  CHECK(message_of<ShapeError>(
            [&] { evaluate(z, {{x, Tensor::zeros({2, 3})}, {y, Tensor::zeros({2, 1})}}); }) ==
        "Input dimension mis-match. (input[0].shape[1] = 3, input[1].shape[1] = 1)\n"
        "  an extent of 1 broadcasts only where the type says 1, and input[1] is y (float32[?,?], made at "
        "elementwise_test.cpp)\n"
        "  declare it with that extent: tensor(dtype, shape) with 1 at axis 1, row() or col(); a shared "
        "variable with "
        "its option shape\n"
        "  in Elemwise{add,no_inplace}, made at elementwise_test.cpp\n"
        "  operand 0: x (float32[?,?], made at elementwise_test.cpp) of shape (2, 3)\n"
        "  operand 1: y (float32[?,?], made at elementwise_test.cpp) of shape (2, 1)");
  CHECK_THROWS_AS(evaluate(z, {{x, Tensor::zeros({2, 3})}, {y, Tensor::zeros({3, 3})}}), ShapeError);
  CHECK(evaluate(z, {{x, Tensor::zeros({1, 1})}, {y, Tensor::zeros({1, 1})}}).shape() == Shape{1, 1});
}

TEST_CASE("Operands of any strides, sizes and broadcasts", "[ops][elementwise]") {
  std::mt19937_64 generator(3);
  std::uniform_int_distribution<int> rank_of(0, 4), extent_of(0, 5), coin(0, 3);
  for (int trial = 0; trial < random_cases(300); ++trial) {
    Shape shape;
    for (int i = rank_of(generator); i > 0; --i) shape.push_back(extent_of(generator));
    std::vector<Operand> inputs;
    std::unordered_map<Variable, Tensor> values;
    std::vector<Tensor> operands;
    for (int k = 0; k < 3; ++k) {
      Shape own = shape;
      for (std::int64_t& extent : own) {
        if (coin(generator) == 0) extent = 1;
      }
      while (!own.empty() && own[0] == 1 && coin(generator) == 0) own.erase(0);
      Tensor value = random_tensor(own, DType::float64, generator);
      if (own.rank() == 2 && coin(generator) == 0)
        value = random_tensor({own[1], own[0]}, DType::float64, generator).transpose();
      if (!own.empty() && coin(generator) == 0) value = value.slice(0, {}, {}, -1);
      Shape declared = own;
      for (std::size_t axis = 0; axis < own.size(); ++axis) {
        const std::size_t whole = shape.size() - own.size() + axis;
        if (own[axis] == shape[whole] && coin(generator) == 0) declared[axis] = unknown;
      }
      const Variable input = tensor(DType::float64, declared);
      inputs.push_back(input);
      values.emplace(input, value);
      operands.push_back(value);
    }
    // Where all three are 1, the result is.
    const Variable y =
        apply_elementwise("mul", {apply_elementwise("add", {inputs[0], inputs[1]}), inputs[2]});
    const Tensor got = evaluate(y, values);
    Shape expected_shape = Shape::filled(shape.size(), 1);
    std::size_t rank = 0;
    for (const Tensor& operand : operands) {
      rank = std::max(rank, operand.shape().size());
      for (std::size_t axis = 0; axis < operand.shape().size(); ++axis) {
        const std::size_t whole = shape.size() - operand.shape().size() + axis;
        if (operand.shape()[axis] != 1) expected_shape[whole] = operand.shape()[axis];
      }
    }
    while (expected_shape.size() > rank) expected_shape.erase(0);
    REQUIRE(got.shape() == expected_shape);
    const Tensor a = operands[0].broadcast_to(expected_shape), b = operands[1].broadcast_to(expected_shape),
                 c = operands[2].broadcast_to(expected_shape);
    for_each_index(expected_shape, [&](const Shape& at) {
      CHECK(got.at<double>(at) == (a.at<double>(at) + b.at<double>(at)) * c.at<double>(at));
    });
  }
}

TEST_CASE("Wrong dtypes are told", "[ops][elementwise]") {
  const Variable t = tensor(DType::bool_, {unknown}, "t"), f = fvector("f");
  CHECK(message_of<TypeError>([&] { t - t; }) ==
        "sub takes numbers (for bools there is `^`, or `~` for the negation), got bool and bool\n"
        "  in sub, made at elementwise_test.cpp\n"
        "  operand 0: t (bool[?], made at elementwise_test.cpp)\n"
        "  operand 1: t (bool[?], made at elementwise_test.cpp)");
  CHECK_THROWS_AS(-t, TypeError);
  CHECK_THROWS_AS(f & t, TypeError);
  CHECK_THROWS_AS(~f, TypeError);
  CHECK_THROWS_AS(f << 1, TypeError);
  CHECK_THROWS_AS(exp(tensor(DType::complex64, {})), TypeError);
  CHECK_THROWS_AS(cast(f, DType::complex128), TypeError);
  CHECK_THROWS_AS(f + Variable(), TypeError);
  // Nodes are strict: only the functions cast and pad.
  CHECK_THROWS_AS(apply_op(*find_elementwise("add"), {f, t}), TypeError);
  CHECK_THROWS_AS(apply_op(*find_elementwise("add"), {f, matrix()}), TypeError);
  CHECK_THROWS_AS(apply_op(*find_elementwise("add"), {f}), TypeError);
  CHECK_THROWS_AS(apply_op(*find_elementwise("exp"), {f, f}), TypeError);
  CHECK_THROWS_AS(apply_op(*find_elementwise("exp"), {lvector()}), TypeError);
  CHECK_THROWS_AS(apply_op(*find_elementwise("cast"), {f}), TypeError);
}

TEST_CASE("Labels and in-place candidates", "[ops][elementwise]") {
  const Variable x = matrix("x"), b = row("b"), i = imatrix("i");
  const Variable sum = x + b;
  using Pairs = std::vector<std::pair<int, int>>;
  CHECK(label(sum) == "Elemwise{add,no_inplace}");
  CHECK(sum.node()->op().inplace_candidates(*sum.node()) == Pairs{{0, 0}});
  const Variable both = x * x;
  CHECK(both.node()->op().inplace_candidates(*both.node()) == Pairs{{0, 0}, {0, 1}});
  const Variable less = x < x;
  CHECK(less.node()->op().inplace_candidates(*less.node()).empty());
  CHECK(label(cast(i, DType::float32)) == "Elemwise{Cast{float32}}");
  const Variable inplace =
      apply_op(*find_elementwise("tanh"), {x}, {{"inplace", std::vector<std::int64_t>{0, 0}}});
  CHECK(label(inplace) == "Elemwise{tanh}[(0, 0)]");
  CHECK(inplace.node()->op().destroy_map(*inplace.node()) == Pairs{{0, 0}});
}

TEST_CASE("Operators and shared variables", "[ops][elementwise]") {
  const SharedVariable w = shared(Tensor{1.f, -2.f, 3.f}, "w");
  CHECK(equal(evaluate(2 * w + 1), Tensor{3.f, -3.f, 7.f}));
  CHECK(equal(evaluate(w > 0), Tensor{true, false, true}));
  CHECK(equal(evaluate(~(w > 0) | eq(w, 1)), Tensor{true, true, false}));
  CHECK(equal(evaluate((w % 2) - w / 2), Tensor{0.5f, 1.f, -0.5f}));
  CHECK(equal(evaluate(-w), Tensor{-1.f, 2.f, -3.f}));
  CHECK(equal(evaluate(add(w, w, w, 1)), Tensor{4.f, -5.f, 10.f}));
  CHECK(equal(evaluate(maximum(w, 0, -w)), Tensor{1.f, 2.f, 3.f}));
}

TEST_CASE("The evaluator checks what it is given", "[ops][evaluate]") {
  const Variable x = matrix("x"), y = x + 1;
  CHECK(message_of<MissingInputError>([&] { evaluate(y); }) ==
        "x (float32[?,?], made at elementwise_test.cpp) is needed and was given no value");
  CHECK_THROWS_AS(evaluate(y, {{x, Tensor::zeros({2})}}), TypeError);
  CHECK_THROWS_AS(evaluate(y, {{x, Tensor::zeros({2, 2}, DType::float64)}}), TypeError);
  const Variable r = row("r");
  CHECK_THROWS_AS(evaluate(r, {{r, Tensor::zeros({2, 2})}}), ShapeError);
  // Any variable may be given: nothing behind it is computed.
  CHECK(equal(evaluate(y * 2, {{y, Tensor::ones({1, 1})}}), Tensor{{2.f}}));
  // Chains of any length.
  Variable deep = x;
  for (int i = 0; i < 100000; ++i) deep = deep + 1;
  CHECK(evaluate(deep, {{x, Tensor::zeros({1, 1})}}).item<float>() == 100000);
}
