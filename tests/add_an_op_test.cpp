#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sstream>

#include "croton/graph/error.h"
#include "croton/graph/node.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/elementwise_reference.h"
#include "croton/ops/evaluate.h"
#include "croton/ops/grad.h"
#include "croton/ops/reduce.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/verify_grad.h"
#include "places.h"
#include "tensor_values.h"

using namespace croton;
using namespace croton::test;

namespace {

// The code of docs/add_an_op.md, as it stands there.

std::vector<Variable> gradient_of_cube(const Node& node, const Variable& gy) {
  return {gy * (3 * sqr(node.input(0)))};
}

ScalarValue lower_cube(ScalarBuilder& b, std::span<const ScalarValue> in, DType) {
  return b.emit(ScalarOp::mul, in[0], b.emit(ScalarOp::mul, in[0], in[0]));
}

ElementwiseRow cube_row() {
  return {.name = "cube",
          .rule = DTypeRule::no_bool,
          .traits = odd_function | increasing,
          .lower = lower_cube,
          .cuda = "({0} * {0} * {0})",
          .reference = reference::unary<reference::Numbers>(
              [](auto x) { return reference::product(x, reference::product(x, x)); }),
          .gradient = gradient_of_cube,
          .doc = "x to the power 3.",
          .domain = {{-5, 5}}};
}

/// The differences of neighbours in a vector: y[i] = x[i + 1] - x[i].
class DifferencesOp final : public Op {
 public:
  DifferencesOp() : Op("differences") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.size() != 1) throw TypeError("differences takes 1 operand");
    if (inputs[0].rank() != 1 || !is_floating(inputs[0].dtype())) {
      throw TypeError("differences takes a floating vector, got " + to_string(inputs[0].type()));
    }
    const std::int64_t n = inputs[0].type().shape[0];
    return {{inputs[0].dtype(), {n == unknown ? unknown : std::max<std::int64_t>(n - 1, 0)}}};
  }

  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    const Tensor x = inputs[0].astype(DType::float64);
    const Tensor y = Tensor::empty({std::max<std::int64_t>(x.size() - 1, 0)}, DType::float64);
    for (std::int64_t i = 0; i < y.size(); ++i) y.at<double>({i}) = x.at<double>({i + 1}) - x.at<double>({i});
    return {y.astype(inputs[0].dtype())};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable& gy = gradients[0];
    const Variable zero = second(node.input(0)(slice(0, 1)), Operand(0.0));
    return {join(0, {zero, gy}) - join(0, {gy, zero})};
  }
};

const Op& differences_op() {
  static const Op* const op = new DifferencesOp;
  return *op;
}

Variable differences(const Operand& x) {
  const LocationScope scope(x.where());
  return apply_op(differences_op(), {as_variable(x)});
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("A row makes an elementwise operation", "[docs][ops]") {
  // Not in the table: the operation lives as long as this test.
  const ElementwiseOp cube(cube_row());
  const auto apply_cube = [&](const Variable& x) { return apply_elementwise(cube, std::array{Operand(x)}); };
  CHECK(find_op("cube") == &cube);
  const Variable x = ivector("x"), y = dvector("y");
  CHECK(apply_cube(x).dtype() == DType::int32);
  CHECK(equal(evaluate(apply_cube(y), {{y, Tensor{2., -3.}}}), Tensor{8., -27.}));
  CHECK(apply_cube(y).node()->op().label(*apply_cube(y).node()) == "Elemwise{cube,no_inplace}");
  std::mt19937_64 generator(1);
  CHECK_NOTHROW(verify_grad([&](const std::vector<Variable>& v) { return apply_cube(v[0]); },
                            {random_tensor({3, 4}, DType::float64, generator, -5, 5)}));
}

TEST_CASE("A class makes any other operation", "[docs][ops]") {
  std::mt19937_64 generator(2);
  const Variable x = dvector("x");
  CHECK(equal(evaluate(differences(x), {{x, Tensor{1., 4., 2.}}}), Tensor{3., -2.}));
  CHECK(evaluate(differences(x), {{x, Tensor::zeros({0}, DType::float64)}}).shape() == Shape{0});
  CHECK_NOTHROW(verify_grad([](const std::vector<Variable>& v) { return differences(v[0]); },
                            {random_tensor({7}, DType::float64, generator)}));
  CHECK_THROWS_AS(differences(ivector()), TypeError);
}

TEST_CASE("The recipe for operations is the code that runs", "[docs]") {
  const std::string recipe = contents(test::source_file("docs/add_an_op.md"));
  const std::string source = contents(test::source_file("tests/add_an_op_test.cpp"));
  std::size_t blocks = 0;
  const std::string open = "```cpp\n", close = "```";
  for (std::size_t at = recipe.find(open); at != std::string::npos; at = recipe.find(open, at)) {
    at += open.size();
    const std::size_t end = recipe.find(close, at);
    REQUIRE(end != std::string::npos);
    INFO(recipe.substr(at, end - at));
    CHECK(source.find(recipe.substr(at, end - at)) != std::string::npos);
    at = end + close.size();
    ++blocks;
  }
  CHECK(blocks == 2);
}
