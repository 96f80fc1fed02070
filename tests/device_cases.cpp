#include "device_cases.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "croton/croton.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using Catch::Matchers::Contains;

namespace croton::test {

Tensor halves(std::int64_t count) {
  Tensor tensor = Tensor::empty({count}, DType::float32);
  for (std::int64_t i = 0; i < count; ++i) tensor.data<float>()[i] = 0.5f * static_cast<float>(i);
  return tensor;
}

void check_targets() {
  SharedVariable a = shared(halves(8), "a", {.target = "cuda1"}), b = shared(halves(8), "b");
  const Variable x = vector("x");
  const Function f = function({x}, a * x + 1, {.updates = {{a, a + x}}, .name = "f"});
  const Tensor ones = Tensor::ones({8});
  for (int call = 0; call < 4; ++call)
    CHECK(f(ones).tensor().at<float>({7}) == 3.5f + static_cast<float>(call) + 1);
  CHECK(a.cell()->value().device() == Device::cuda(1));
  CHECK_THAT(f.plan_text(), Contains("on cuda1:") && !Contains("on cuda0:") && !Contains("peer copy"));
  // Without a target it follows the other.
  const Function g = function({}, sum(a * b));
  CHECK(g().item<float>() > 0);
  CHECK(b.cell()->value().device() == Device::cuda(1));
  CHECK_THROWS_WITH(shared(halves(2), "c", {.target = "gpu1"}),
                    Contains("shared('c')") && Contains("GPUs are called cuda"));
  SharedVariable far = shared(halves(2), "far", {.target = "cuda7"});
  CHECK_THROWS_WITH(function({}, far * 2)(), Contains("there is no device cuda7"));
}

Function check_two_devices() {
  SharedVariable a = shared(halves(64), "a", {.target = "cuda0"}),
                 b = shared(halves(8), "b", {.target = "cuda1"}),
                 on_host = shared(halves(8), "c", {.target = "cpu"});
  const Variable x = vector("x");
  // On cuda1: exp(b); on cuda0, where more lies: the rest.
  const Function f = function({x}, sum(a.reshape({8, 8}) * exp(-b)) + sum(x + on_host),
                              {.updates = {{b, b + sum(a) * 0}, {on_host, on_host + 1}}, .name = "two"});
  float expected = 0;
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j)
      expected += 0.5f * static_cast<float>(8 * i + j) * std::exp(-0.5f * static_cast<float>(j));
    expected += 0.5f * static_cast<float>(i) + 1;
  }
  for (int call = 0; call < 4; ++call)
    CHECK(f(Tensor::ones({8})).item<float>() == Approx(expected + 8 * static_cast<float>(call)));
  CHECK(a.cell()->value().device() == Device::cuda(0));
  CHECK(b.cell()->value().device() == Device::cuda(1));
  CHECK(on_host.cell()->value().device().is_host());
  CHECK(b.get_value().at<float>({7}) == 3.5f);
  CHECK_THAT(debugprint_text(f), Contains("GpuToGpu<cuda0>"));
  return f;
}

void check_transfers_between_devices() {
  const Variable x = vector("x");
  const Variable there = transfer(exp(transfer(x, "cuda0")), "cuda:1");
  const Function f =
      function({x}, {there, host_from_gpu(there * 2), gpu_contiguous(x(slice(none, none, -1)))});
  const Outputs results = f.call_all(std::vector<Tensor>{halves(4)});
  CHECK(results[0].device() == Device::cuda(1));
  CHECK(results[0].to_host().at<float>({2}) == Approx(std::exp(1.0)));
  CHECK(results[1].device().is_host());
  CHECK(results[1].at<float>({0}) == 2);
  CHECK(results[2].device() == Device::cuda(0));
  CHECK(results[2].to_host().at<float>({0}) == 1.5f);
  const Variable g = grad(sum(host_from_gpu(sqr(transfer(transfer(x, "cuda1"), "cuda0")))), x);
  CHECK(function({x}, g)(halves(4)).tensor().at<float>({3}) == 3);
}

void check_random_graphs_on_two_devices() {
  for (int seed = 0; seed < 25; ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) + 900);
    const RandomGraph made = random_graph(random, 4 + seed % 16, seed % 2 == 0);
    INFO("seed " << seed << "\n" << to_text(made.outputs));
    const auto values = random_values(made.inputs, -1, 1, random);
    std::vector<Given> givens;
    for (const Variable& input : made.inputs) {
      const char* targets[] = {"cuda0", "cuda1", "cpu", ""};
      givens.emplace_back(input, shared(values.at(input), "s",
                                        {.shape = input.type().shape, .target = targets[random() % 4]}));
    }
    std::vector<Tensor> arguments;
    for (const Variable& input : made.inputs) arguments.push_back(values.at(input));
    const Function plain = function({made.inputs.begin(), made.inputs.end()}, made.outputs,
                                    {.on_unused_input = OnUnusedInput::ignore, .device = "cpu"});
    const Function f = function({}, made.outputs, {.givens = givens});
    const Outputs expected = plain.call_all(arguments);
    for (int call = 0; call < 3; ++call) {
      const Outputs got = f.call_all(std::vector<Tensor>{});
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(allclose(got[i], expected[i], 1e-7, 1e-9, true));
    }
  }
}

}  // namespace croton::test
