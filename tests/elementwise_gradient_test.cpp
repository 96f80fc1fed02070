#include <catch2/catch.hpp>
#include <random>

#include "croton/graph/error.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"
#include "croton/ops/verify_grad.h"
#include "tensor_values.h"

using namespace croton;
using namespace croton::test;

namespace {

Domain domain_of(const ElementwiseRow& row, std::size_t i) {
  return row.domain[std::min(i, row.domain.size() - 1)];
}

bool has_gradient(const ElementwiseRow& row) {
  return (row.gradient != nullptr || row.has(zero_gradient)) && row.rule != DTypeRule::cast &&
         row.name.find("grad") == std::string_view::npos;
}

Tensor gradient_at(const Variable& y, const Variable& x, const std::unordered_map<Variable, Tensor>& values) {
  return evaluate(grad(sum(y), x), values);
}

}  // namespace

TEST_CASE("Every row's gradient agrees with differences", "[ops][elementwise][grad]") {
  std::mt19937_64 generator(4);
  for (const ElementwiseOp* op : elementwise_ops()) {
    const ElementwiseRow& row = op->row();
    if (!has_gradient(row)) continue;
    INFO(row.name);
    const bool select = row.rule == DTypeRule::select;
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 4}, Shape{0}}) {
      std::vector<Tensor> points;
      std::vector<Operand> fixed;
      const int count = row.variadic ? 3 : row.arity;
      for (int i = 0; i < count; ++i) {
        const Domain domain = domain_of(row, static_cast<std::size_t>(i));
        Shape own = shape;
        // One operand is broadcast along the last axis, one lacks the first.
        if (i == 1 && !own.empty() && own.back() > 1) own[own.size() - 1] = 1;
        if (i == 2 && own.size() > 1) own.erase(0);
        if (select && i == 0)
          fixed.push_back(constant(random_tensor(own, DType::bool_, generator)));
        else
          points.push_back(random_tensor(own, DType::float64, generator, domain.low, domain.high));
      }
      CHECK_NOTHROW(verify_grad(
          [&](const std::vector<Variable>& inputs) {
            std::vector<Operand> operands = fixed;
            for (const Variable& input : inputs) operands.push_back(input);
            return apply_elementwise(*op, operands);
          },
          points));
    }
  }
}

TEST_CASE("Gradients in float32 and the 16-bit types stay in their dtype", "[ops][elementwise][grad]") {
  for (const DType dtype : {DType::float16, DType::bfloat16, DType::float32}) {
    const Variable x = tensor(dtype, {unknown}, "x");
    const Variable gradient = grad(sum(tanh(x) * 2 + sqr(x)), x);
    CHECK(gradient.dtype() == dtype);
    const Tensor at = Tensor{0.5, -1.}.astype(dtype);
    const Tensor expected{2 * (1 - std::pow(std::tanh(0.5), 2)) + 1,
                          2 * (1 - std::pow(std::tanh(1.), 2)) - 2};
    CHECK(allclose(evaluate(gradient, {{x, at}}), expected, 0.02, 0.02));
  }
}

TEST_CASE("Ties and kinks", "[ops][elementwise][grad]") {
  const Variable x = dvector("x"), y = dvector("y");
  const Tensor a{1., 2., 3., 0.}, b{1., 3., 2., 0.};
  const std::unordered_map<Variable, Tensor> at{{x, a}, {y, b}};
  CHECK(equal(gradient_at(maximum(x, y), x, at), Tensor{1., 0., 1., 1.}));
  CHECK(equal(gradient_at(maximum(x, y), y, at), Tensor{0., 1., 0., 0.}));
  CHECK(equal(gradient_at(minimum(x, y), x, at), Tensor{1., 1., 0., 1.}));
  CHECK(equal(gradient_at(maximum(x, x, y), x, at), Tensor{1., 0., 1., 1.}));
  CHECK(equal(gradient_at(maximum(y, y, x), x, at), Tensor{0., 0., 1., 0.}));
  // relu as max(0, x): its derivative at 0 is 0.
  CHECK(equal(gradient_at(maximum(0, x - 2), x, at), Tensor{0., 0., 1., 0.}));
  CHECK(equal(gradient_at(abs(x - 2), x, at), Tensor{-1., 0., 1., -1.}));
  CHECK(equal(gradient_at(clip(x, 1, 2), x, at), Tensor{1., 1., 0., 0.}));
  CHECK(equal(gradient_at(clip(x, y, 2), y, {{x, a}, {y, b}}), Tensor{0., 1., 0., 0.}));
  CHECK(equal(gradient_at(pow(x, y), y, {{x, Tensor{0., 1.}}, {y, Tensor{2., 3.}}}), Tensor{0., 0.}));
  CHECK(equal(gradient_at(pow(x, 2), x, at), Tensor{2., 4., 6., 0.}));
}

TEST_CASE("What has no gradient says so", "[ops][elementwise][grad]") {
  const Variable x = dvector("x");
  CHECK_THROWS_AS(grad(sum(psi(x)), x), NullTypeGradError);
  CHECK_THROWS_AS(grad(sum(cast(x > 0, DType::float64)), x), DisconnectedInputError);
  CHECK_THROWS_AS(grad(sum(cast(cast(x, DType::int32), DType::float64)), x), DisconnectedInputError);
  // The condition of a switch is no way for a gradient, its branches are.
  CHECK(equal(gradient_at(switch_(x > 1, 3 * x, -x), x, {{x, Tensor{0., 2.}}}), Tensor{-1., 3.}));
}
