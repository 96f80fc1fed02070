// A share of everything that is computed on a device: every kind of kernel once for each class of dtypes,
// small enough to be watched by compute-sanitizer (tools/device_run). With the flag device at cpu it is one
// more comparison of functions with the reference.

#include <catch2/catch.hpp>

#include "croton/ops/evaluate.h"
#include "croton/runtime/croton.h"
#include "lowered.h"

using namespace croton;
using namespace croton::test;

namespace {

/// A function of inputs of these values computes what the reference does.
void check(const std::vector<Variable>& inputs, const std::vector<Tensor>& values, const Variable& expected,
           double rtol = 2e-5, double atol = 1e-5) {
  std::unordered_map<Variable, Tensor> by_input;
  for (std::size_t i = 0; i < inputs.size(); ++i) by_input.emplace(inputs[i], values[i]);
  const Tensor wanted = evaluate(expected, by_input);
  const Function f = function({inputs.begin(), inputs.end()}, expected);
  for (int call = 0; call < 3; ++call) {  // a device replays what it did from the third call on
    const Tensor got = f.call_all(values)[0];
    INFO("wanted\n" << wanted << "\ngot\n" << got);
    REQUIRE(got.dtype() == wanted.dtype());
    CHECK(allclose(got, wanted, rtol, atol, true));
  }
}

constexpr DType classes[] = {DType::float16, DType::bfloat16, DType::float32, DType::float64,
                             DType::int8,    DType::int32,    DType::int64,   DType::uint8};

double tolerance(DType dtype) {
  return dtype == DType::float16 ? 4e-3 : dtype == DType::bfloat16 ? 3e-2 : 2e-5;
}

}  // namespace

TEST_CASE("a share of the elementwise kernels", "[runtime][device][gpu_share]") {
  for (const DType dtype : classes) {
    INFO(name_of(dtype));
    const Variable x = tensor(dtype, {unknown, unknown}), y = tensor(dtype, {unknown, unknown}),
                   row = tensor(dtype, {1, unknown});
    const std::vector<Tensor> values = {random_tensor({19, 37}, dtype, 1), random_tensor({19, 37}, dtype, 2),
                                        random_tensor({1, 37}, dtype, 3)};
    check({x, y, row}, values, (x + row) * y - x, tolerance(dtype), tolerance(dtype));
    check({x}, {values[0]}, x.T() + x.T(), tolerance(dtype), tolerance(dtype));
    check({x}, {values[0]}, sum(x, {0}), 5 * tolerance(dtype), 20 * tolerance(dtype));
    check({x}, {values[0]}, sum(x, {1}), 5 * tolerance(dtype), 20 * tolerance(dtype));
    check({x}, {values[0]}, max(x), tolerance(dtype));
    check({x}, {values[0]}, argmax(x, {1}), 0, 0);
    check({x, y}, {values[0], values[1]}, concatenate({x, y}, 1), 0, 0);
    check({x}, {values[0]}, x(slice(2, 17, 3), slice(none, none, -1)), 0, 0);
  }
}

TEST_CASE("a share of the large reductions", "[runtime][device][gpu_share]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Variable x = tensor(dtype, {unknown, unknown});
    const Tensor value = random_tensor({300, 1025}, dtype, 4);
    check({x}, {value}, sum(sqr(x)), 1e-4);
    check({x}, {value}, mean(x, {0}), 1e-4, 1e-4);
    check({x}, {value}, max(x, {1}));
    check({x}, {value}, softmax(x));
    check({x}, {value}, log(sum(exp(x), {1})));
  }
}

TEST_CASE("a share of a network's kernels", "[runtime][device][gpu_share]") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Variable x = tensor(dtype, {unknown, unknown}), w = tensor(dtype, {unknown, unknown}),
                   b = tensor(dtype, {unknown}), y = ivector();
    const std::vector<Tensor> values = {random_tensor({33, 20}, dtype, 5), random_tensor({20, 10}, dtype, 6),
                                        random_tensor({10}, dtype, 7), Tensor::zeros({33}, DType::int32)};
    const Variable cost = mean(categorical_crossentropy(softmax(dot(x, w) + b), y));
    check({x, w, b, y}, values, cost);
    check({x, w, b, y}, values, grad(cost, w));
    check({x, w, b, y}, values, grad(cost, b));
    check({x, w}, {values[0], values[1]}, dot(x, w) + dot(tanh(x), w), 1e-4, 1e-4);
  }
}

TEST_CASE("a share of convolutions and pooling", "[runtime][device][gpu_share]") {
  const Variable x = ftensor4(), w = ftensor4();
  const std::vector<Tensor> values = {random_tensor({5, 3, 13, 12}, DType::float32, 8),
                                      random_tensor({7, 3, 3, 3}, DType::float32, 9)};
  const Variable y = conv2d(x, w, {.border_mode = 1, .subsample = {2, 2}});
  check(std::vector<Variable>{x, w}, values, y, 1e-4, 1e-4);
  check({x, w}, values, grad(sum(sqr(y)), x), 1e-4, 1e-3);
  check({x, w}, values, grad(sum(sqr(y)), w), 1e-4, 1e-3);
  for (const char* mode : {"max", "average_exc_pad"}) {
    const Variable pooled = pool_2d(x, {3, 3}, {.stride = {2, 2}, .mode = mode});
    check({x}, {values[0]}, pooled);
    check({x}, {values[0]}, grad(sum(sqr(pooled)), x), 1e-4, 1e-4);
  }
}

TEST_CASE("a share of indexing", "[runtime][device][gpu_share]") {
  const Variable x = fmatrix(), y = fmatrix(), i = lscalar();
  const std::vector<Tensor> values = {random_tensor({11, 6}, DType::float32, 10),
                                      random_tensor({4, 6}, DType::float32, 11), Tensor(std::int64_t{2})};
  check({x, i}, {values[0], values[2]}, x(slice(i, i + 5)) * 2);
  check({x, y}, {values[0], values[1]}, set_subtensor(x(slice(2, 10, 2)), y), 0, 0);
  check({x, y}, {values[0], values[1]}, inc_subtensor(x(slice(1, 5)), y));
}

TEST_CASE("a share of updates", "[runtime][device][gpu_share]") {
  const Tensor start = random_tensor({16, 9}, DType::float32, 12),
               value = random_tensor({16, 9}, DType::float32, 13);
  const SharedVariable state = shared(start, "state"), steps = shared(Tensor(std::int64_t{0}), "steps");
  const Variable x = fmatrix("x");
  const Function f = function({x}, sum(state), {.updates = {{state, 0.5 * state + x}, {steps, steps + 1}}});
  Tensor expected = start;
  const Variable old = fmatrix("old");
  for (int call = 0; call < 4; ++call) {
    CHECK(allclose(f(value), evaluate(sum(old), {{old, expected}}), 1e-4, 1e-4));
    expected = evaluate(0.5 * old + x, {{old, expected}, {x, value}});
  }
  CHECK(allclose(state.get_value(), expected, 1e-5, 1e-5));
  CHECK(steps.get_value().item<std::int64_t>() == 4);
}
