#include "croton/ops/grad.h"

#include <catch2/catch.hpp>

#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/graph/node.h"
#include "croton/graph/shared_variable.h"
#include "croton/ops/blas.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/reduce.h"
#include "croton/ops/verify_grad.h"
#include "message_of.h"
#include "tensor_values.h"

using namespace croton;
using namespace croton::test;

TEST_CASE("grad answers as it is asked", "[ops][grad]") {
  const SharedVariable w = shared(Tensor{{1.f, 2.f}, {3.f, 4.f}}, "W"), b = shared(Tensor{0.5f, -0.5f}, "b");
  const Variable x = matrix("x");
  Variable cost = mean(sqr(dot(x, w) + b));
  cost.set_name("C");
  auto [gw, gb] = grad(cost, {w, b});
  CHECK(gw.name() == "(dC/dW)");
  CHECK(gb.name() == "(dC/db)");
  const std::vector<Variable> both = grad(cost, std::vector<Variable>{w, b});
  const Variable one = grad(cost, w);
  const std::unordered_map<Variable, Tensor> at{{x, Tensor{{1.f, -1.f}}}};
  const Tensor expected{{-1.5f, -2.5f}, {1.5f, 2.5f}};
  CHECK(allclose(evaluate(gw, at), expected));
  CHECK(allclose(evaluate(both[0], at), expected));
  CHECK(allclose(evaluate(one, at), expected));
  CHECK(allclose(evaluate(gb, at), Tensor{-1.5f, -2.5f}));
  CHECK(evaluate(grad(cost, cost), at).item<float>() == 1);
  // Only where both have names, and never the user's own variables.
  const Variable plain = sum(x * 2);
  CHECK(grad(plain, x).name().empty());
  const Variable seed = matrix();
  CHECK(grad(none, x, {.known_grads = {{x, seed}}}).name().empty());
}

TEST_CASE("What grad refuses", "[ops][grad]") {
  const Variable x = dvector("x"), i = ivector("i");
  CHECK(message_of<TypeError>([&] { grad(sqr(x), x); }) ==
        "cost must be a scalar, got sqr (float64[?], made at grad_test.cpp): take its sum or mean, or give "
        "known_grads");
  CHECK(message_of<TypeError>([&] { grad(sum(i), i); }) ==
        "cost must be floating, got sum (int64[], made at grad_test.cpp): it does not change smoothly with "
        "anything");
  CHECK_THROWS_AS(grad(none, x), ValueError);
  CHECK_THROWS_AS(grad(sum(x), Variable()), TypeError);
  CHECK_THROWS_AS(grad(none, x, {.known_grads = {{x, i}}}), TypeError);
  CHECK_THROWS_AS(grad(none, x, {.known_grads = {{x, dmatrix()}}}), TypeError);
  const Variable fixed = tensor(DType::float64, {3});
  CHECK_THROWS_AS(grad(none, fixed, {.known_grads = {{fixed, tensor(DType::float64, {4})}}}), ShapeError);
  CHECK(message_of<NullTypeGradError>([&] { grad(sum(psi(x)), x); }) ==
        "psi has no gradient with respect to its input 0, x (float64[?], made at grad_test.cpp): psi has no "
        "gradient\n"
        "  the node was made at grad_test.cpp");
  CHECK_THROWS_AS(grad_clip(x, 1, 0), ValueError);
}

TEST_CASE("Disconnected inputs", "[ops][grad]") {
  const Variable x = dvector("x"), y = dvector("y");
  const Variable cost = sum(sqr(x) * cast(y > 0, DType::float64));
  const auto of = [&](DisconnectedInputs what) { return GradOptions{.disconnected_inputs = what}; };
  CHECK(message_of<DisconnectedInputError>([&] { grad(cost, dvector("z")); }) ==
        "the cost does not depend on z (float64[?], made at grad_test.cpp) as gradients go: it is no part of "
        "its graph\n"
        "  leave it out, or pass .disconnected_inputs = DisconnectedInputs::ignore to get zeros");
  CHECK(message_of<DisconnectedInputError>([&] { grad(cost, y); }) ==
        "the cost does not depend on y (float64[?], made at grad_test.cpp) as gradients go: it is used only "
        "where no "
        "gradient passes: in integers, comparisons, shapes, indices, disconnected_grad or consider_constant\n"
        "  leave it out, or pass .disconnected_inputs = DisconnectedInputs::ignore to get zeros");
  const std::unordered_map<Variable, Tensor> at{{x, Tensor{1., 2.}}, {y, Tensor{1., -1.}}};
  CHECK(equal(evaluate(grad(cost, y, of(DisconnectedInputs::ignore)), at), Tensor{0., 0.}));
  std::string told;
  set_message_sink([&](Severity severity, std::string_view text) {
    CHECK(severity == Severity::warning);
    told += text;
  });
  CHECK(equal(evaluate(grad(cost, y, of(DisconnectedInputs::warn)), at), Tensor{0., 0.}));
  set_message_sink({});
  CHECK(told.find("does not depend on y") != std::string::npos);
  CHECK_THROWS_AS(grad(sum(disconnected_grad(x)), x), DisconnectedInputError);
  const Variable i = ivector("i");
  CHECK(grad(cost, i, of(DisconnectedInputs::ignore)).dtype() == DType::float32);
}

TEST_CASE("Integers count as real numbers, but nothing passes through computed ones", "[ops][grad]") {
  const Variable i = ivector("i"), x = dvector("x");
  const std::unordered_map<Variable, Tensor> at{{i, Tensor(std::vector<std::int32_t>{2, 3})},
                                                {x, Tensor{0.5, 1.5}}};
  const Variable gradient = grad(sum(sqr(i) * x), x);
  CHECK(equal(evaluate(gradient, at), Tensor{4., 9.}));
  CHECK(equal(evaluate(grad(sum(i * x), i), at), Tensor{0.5, 1.5}));
  CHECK_THROWS_AS(grad(sum(sqr(i) * x), i), DisconnectedInputError);
}

TEST_CASE("Known gradients replace, constants stop", "[ops][grad]") {
  const Variable x = dvector("x"), known = dvector("known");
  const Variable y = sqr(x), z = y * 3;
  const std::unordered_map<Variable, Tensor> at{{x, Tensor{1., 2.}}, {known, Tensor{10., 100.}}};
  CHECK(equal(evaluate(grad(none, x, {.known_grads = {{y, known}}}), at), Tensor{20., 400.}));
  // At y the known gradient takes the place of the one from the cost; other ways count as ever.
  CHECK(equal(evaluate(grad(sum(z) + sum(x), x, {.known_grads = {{y, known}}}), at), Tensor{21., 401.}));
  CHECK(equal(evaluate(grad(none, {y, x}, {.known_grads = {{z, known}}})[1], at), Tensor{60., 1200.}));
  CHECK(equal(evaluate(Lop(z, x, known), at), Tensor{60., 1200.}));
  const std::vector<Variable> two = Lop({y, z}, {x}, {known, known});
  CHECK(equal(evaluate(two[0], at), Tensor{20., 400.}));
  // A float32 gradient of a float64 variable is converted.
  CHECK(grad(none, x, {.known_grads = {{y, cast(known, DType::float32)}}}).dtype() == DType::float64);

  CHECK(equal(evaluate(grad(sum(y * x), x, {.consider_constant = {y}}), at), Tensor{1., 4.}));
  CHECK_THROWS_AS(grad(sum(y), x, {.consider_constant = {y}}), DisconnectedInputError);
  CHECK_THROWS_AS(Lop({y}, {x}, {known, known}), ValueError);
}

TEST_CASE("Identities with other gradients", "[ops][grad]") {
  const Variable x = dvector("x");
  const std::unordered_map<Variable, Tensor> at{{x, Tensor{1., -4.}}};
  const auto gradient = [&](const Variable& y) { return evaluate(grad(sum(y), x), at); };
  CHECK(equal(gradient(sqr(grad_clip(x, -3, 1))), Tensor{1., -3.}));
  CHECK(equal(gradient(sqr(grad_scale(x, -0.5))), Tensor{-1., 4.}));
  CHECK(equal(gradient(sqr(zero_grad(x)) + x), Tensor{1., 1.}));
  CHECK(equal(gradient(sqr(disconnected_grad(x)) + x), Tensor{1., 1.}));
  CHECK(equal(gradient(zero_grad(x)), Tensor{0., 0.}));
  for (const Variable& same : {grad_clip(x, -3, 1), grad_scale(x, 2), zero_grad(x), disconnected_grad(x)}) {
    CHECK(equal(evaluate(same, at), at.at(x)));
  }
  // The bounds are part of the node: two clips are two nodes.
  CHECK(!(grad_clip(x, 0, 1).node()->attributes() == grad_clip(x, 0, 2).node()->attributes()));
}

TEST_CASE("The gradient keeps the extents of 1 of its variable", "[ops][grad]") {
  const Variable r = row("r"), m = matrix("m");
  CHECK(to_string(grad(sum(r * m), r).type()) == "float32[1,?]");
  CHECK(to_string(grad(none, r, {.known_grads = {{r, m}}}).type()) == "float32[1,?]");
}

TEST_CASE("Graphs of any depth and width", "[ops][grad]") {
  const Variable x = dscalar("x");
  Variable deep = x;
  for (int i = 0; i < 100000; ++i) deep = deep * 1.00001;
  CHECK(evaluate(grad(deep, x), {{x, Tensor(1.)}}).item<double>() == Approx(std::pow(1.00001, 100000)));
  // Each step uses the one before it twice: the paths double, the gradient's nodes must not.
  Variable twice = x;
  for (int i = 0; i < 500; ++i) twice = (twice + twice) * 0.5;
  const Variable gradient = grad(twice, x);
  const std::vector<Variable> roots{gradient};
  CHECK(topological_order(roots).size() < 3000);
  CHECK(evaluate(gradient, {{x, Tensor(1.)}}).item<double>() == 1);
  Variable wide = x * 0;
  for (int i = 0; i < 20000; ++i) wide = wide + x;
  CHECK(evaluate(grad(wide, x), {{x, Tensor(1.)}}).item<double>() == 20000);
}

TEST_CASE("Nodes of the gradient carry the line of grad", "[ops][grad]") {
  const Variable x = dvector("x");
  const Variable cost = sum(tanh(x));
  const Variable gradient = grad(cost, x);
  const auto line = static_cast<std::uint32_t>(__LINE__) - 1;
  CHECK(gradient.node()->where().line == line);
}

TEST_CASE("verify_grad finds wrong gradients", "[ops][grad]") {
  const Tensor point{{0.5, 1.5}, {2., -1.}};
  const auto square = [](const std::vector<Variable>& v) { return sqr(v[0]); };
  CHECK_NOTHROW(verify_grad(square, {point}));
  CHECK_NOTHROW(verify_grad(square, {point.astype(DType::float32)}));
  CHECK_NOTHROW(verify_grad(square, {point.astype(DType::float16)}, {.eps = 0.125, .abs_tol = 0.2}));
  const auto wrong = [](const std::vector<Variable>& v) { return grad_scale(sqr(v[0]), 1.01); };
  CHECK_THROWS_WITH(
      verify_grad(wrong, {point}),
      Catch::StartsWith("the gradient differs from finite differences at argument 0, element ("));
  CHECK_NOTHROW(verify_grad(wrong, {point}, {.rel_tol = 0.1}));
  CHECK_THROWS_AS(verify_grad([](const std::vector<Variable>& v) { return log(v[0]); }, {point}), ValueError);
  CHECK_THROWS_AS(verify_grad([](const std::vector<Variable>& v) { return v[0] > 0; }, {point}), TypeError);
  CHECK_THROWS_AS(verify_grad(square, {Tensor{1, 2}}), TypeError);
}
