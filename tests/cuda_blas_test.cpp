// Products by cuBLASLt and what it does behind them, without a GPU: the fake driver and a fake cuBLASLt on
// host memory. These cases are hidden; ctest runs them with both (CUDA_HOME and CUDA_PATH lead to them).
#include <catch2/catch.hpp>
#include <limits>
#include <unordered_map>

#include "croton/croton.h"
#include "croton/ops/evaluate.h"
#include "fake_device.h"
#include "lowered.h"

using namespace croton;
using namespace croton::test;
using Catch::Matchers::Contains;

namespace {

/// TF32: so that products of every size are the library's.
struct OnFakeBlas {
  OnFakeDevice device;
  ConfigScope precision{{{"precision", "tf32"}}};
  ~OnFakeBlas() { set_fake_relu(FakeRelu::keeps_nan); }
};

const Variable x = fmatrix("x"), w = fmatrix("w"), b = fvector("b"), z = fmatrix("z");

std::unordered_map<Variable, Tensor> values() {
  const Tensor rows = random_tensor({21, 19}, DType::float32, 1);
  rows.data<float>()[3 * 19] = std::numeric_limits<float>::quiet_NaN();
  return {{x, rows},
          {w, random_tensor({19, 17}, DType::float32, 2)},
          {b, random_tensor({17}, DType::float32, 3)},
          {z, random_tensor({21, 17}, DType::float32, 4)}};
}

/// The plan of a function of x, w, b and z, whose value is right.
std::string checked_plan(const Variable& result) {
  const auto given = values();
  const Function f = function({x, w, b, z}, result, {.on_unused_input = OnUnusedInput::ignore});
  const Tensor wanted = evaluate(result, given);
  for (int call = 0; call < 3; ++call) {
    const Tensor got = f(given.at(x), given.at(w), given.at(b), given.at(z));
    INFO("wanted\n" << wanted << "\ngot\n" << got);
    CHECK(allclose(got, wanted, 1e-5, 1e-5, true));
  }
  return f.plan_text();
}

Variable network() { return relu(dot(x, w) + b); }

}  // namespace

TEST_CASE("a bias and a relu are done with the product", "[.fake_blas][runtime][cuda][blas]") {
  const OnFakeBlas fake;
  CHECK_THAT(checked_plan(network()),
             Contains("cuBLASLt tf32 with bias and relu GpuGemm") && !Contains("kernel"));
  CHECK_THAT(checked_plan(relu(dot(x, w))),
             Contains("cuBLASLt tf32 with relu GpuDot22") && !Contains("kernel"));
  CHECK_THAT(checked_plan(maximum(0.5 * dot(x, w), 0)),
             Contains("cuBLASLt tf32 with relu GpuDot22Scalar") && !Contains("kernel"));
  CHECK_THAT(checked_plan(relu(z - 2 * dot(x, w))),
             Contains("cuBLASLt tf32 with relu GpuGemm") && !Contains("kernel"));
  CHECK_THAT(checked_plan(dot(x, w) + b), Contains("cuBLASLt tf32 with bias GpuGemm") && !Contains("kernel"));
}

TEST_CASE("a relu that the library does not do as Croton does is a kernel",
          "[.fake_blas][runtime][cuda][blas]") {
  const OnFakeBlas fake;
  for (const FakeRelu habit : {FakeRelu::drops_nan, FakeRelu::refuses}) {
    set_fake_relu(habit);
    CHECK_THAT(checked_plan(network()),
               Contains("cuBLASLt tf32 with bias GpuGemm") && Contains("kernel") && !Contains("and relu"));
    CHECK_THAT(checked_plan(relu(z + dot(x, w))),
               Contains("cuBLASLt tf32 GpuGemm") && Contains("kernel") && !Contains("with relu"));
  }
}

TEST_CASE("a bias that the library does not add is added by a kernel", "[.fake_blas][runtime][cuda][blas]") {
  const OnFakeBlas fake;
  set_fake_relu(FakeRelu::refuses_bias);
  CHECK_THAT(checked_plan(network()), Contains("cuBLASLt tf32 GpuGemm") && Contains("kernel"));
  CHECK_THAT(checked_plan(dot(x, w) + b), Contains("cuBLASLt tf32 GpuGemm") && Contains("kernel"));
}

TEST_CASE("what is read beside the relu is computed without it", "[.fake_blas][runtime][cuda][blas]") {
  const OnFakeBlas fake;
  CHECK_THAT(checked_plan(sum(network()) + sum(dot(x, w) + b)), !Contains("relu"));
  CHECK_THAT(checked_plan(leaky_relu(dot(x, w))), !Contains("relu"));
  CHECK_THAT(checked_plan(tanh(dot(x, w) + b)), !Contains("with bias"));
}

TEST_CASE("a training step through relus in products", "[.fake_blas][runtime][cuda][blas]") {
  const auto train = [](const char* device) {
    const ConfigScope scope({{"device", device}});
    const Tensor rows = random_tensor({24, 20}, DType::float32, 5);
    const SharedVariable first = shared(random_tensor({20, 32}, DType::float32, 6), "first"),
                         bias = shared(random_tensor({32}, DType::float32, 7), "bias"),
                         second = shared(random_tensor({32, 18}, DType::float32, 8), "second");
    const Variable input = fmatrix("input");
    const Variable cost = mean(sqr(dot(relu(dot(input, first) + bias), second)));
    std::vector<Update> updates;
    for (const SharedVariable& p : {first, bias, second}) updates.push_back({p, p - 0.05 * grad(cost, p)});
    const Function step = function({input}, cost, {.updates = updates});
    double last = 0;
    for (int i = 0; i < 5; ++i) last = step(rows).item<double>();
    return std::pair{last, step.plan_text()};
  };
  const OnFakeBlas fake;
  const auto [cost, plan] = train("cuda");
  CHECK_THAT(plan, Contains("with bias and relu"));
  CHECK(cost == Approx(train("cpu").first).epsilon(1e-5));
}
