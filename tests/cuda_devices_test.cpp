// Several GPUs in one process, and modes that look at what runs on them; with the fake driver, which has two.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "croton/croton.h"
#include "croton/graph/check_error.h"
#include "croton/graph/debugprint.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_memory.h"
#include "fake_device.h"
#include "message_of.h"
#include "messages.h"
#include "quiet.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;
using Catch::Matchers::Contains;

namespace {

Tensor halves(std::int64_t count) {
  Tensor tensor = Tensor::empty({count}, DType::float32);
  for (std::int64_t i = 0; i < count; ++i) tensor.data<float>()[i] = 0.5f * static_cast<float>(i);
  return tensor;
}

}  // namespace

TEST_CASE("a function works where the targets of its variables are", "[.fake_cuda][runtime][cuda][devices]") {
  const OnFakeDevice fake;
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
  CHECK_THROWS_WITH(function({}, far * 2)(), Contains("there is no device cuda7") && Contains("cuda1"));
}

TEST_CASE("variables on two devices meet by copies between them", "[.fake_cuda][runtime][cuda][devices]") {
  const OnFakeDevice fake;
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
  CHECK(f.plan_text() == R"(plan of 8 steps, 0 bytes for intermediate values, 36 for results
on cuda0: 1024 bytes for intermediate values, 4 for constants
on cuda1: 256 bytes for intermediate values
   0  upload GpuFromHost<cuda0> (shared 0, cuda0 arena+0)
   1  upload GpuFromHost<cuda0> (input 0, cuda0 arena+256)
   2  CUDA kernel of 2 nodes, from GpuElemwise{add,no_inplace} (cuda0 arena+0, cuda0 constant 0, cuda0 arena+512, cuda0 arena+256, cuda0 arena+0, cuda0 arena+768)
   3  CUDA kernel GpuElemwise{Composite{exp((-i0))}} (cuda1 shared 2, cuda1 arena+0)
   4  peer copy GpuToGpu<cuda0> (cuda1 arena+0, cuda0 arena+0)
   5  CUDA kernel GpuCompositeReduce{sum, (i0 * i1), (i0 + i1)} (cuda0 shared 1, cuda0 arena+0, cuda0 arena+768, cuda0 arena+256)
   6  download (not waited for) HostFromGpu (cuda0 arena+512, result 1)
   7  download (not waited for) HostFromGpu (cuda0 arena+256, result 0)
)");
}

TEST_CASE("transfers between devices", "[.fake_cuda][runtime][cuda][devices]") {
  const OnFakeDevice fake("cpu");
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

TEST_CASE("random graphs with state on two devices", "[.fake_cuda][runtime][cuda][devices][random]") {
  const OnFakeDevice fake;
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
      for (std::size_t i = 0; i < got.size(); ++i) CHECK(allclose(got[i], expected[i], 1e-9, 1e-11, true));
    }
  }
}

TEST_CASE("DebugMode works through calls on devices", "[.fake_cuda][runtime][cuda][check]") {
  const OnFakeDevice fake;
  const Quiet quiet;
  SharedVariable w = shared(halves(8), "w"), v = shared(halves(8), "v", {.target = "cuda1"});
  const Variable x = vector("x"), i = iscalar("i");
  const Function f = function({x, i}, sum(tanh(w * x) + v) * x(i),
                              {.updates = {{w, w * 0.5}, {v, v + w}}, .mode = "DebugMode", .name = "f"});
  const float first = f(Tensor::ones({8}), 3).item<float>(), second = f(Tensor::ones({8}), 3).item<float>();
  CHECK(first != second);
  CHECK(w.get_value().at<float>({7}) == 0.875f);
  CHECK_THROWS_AS(f(Tensor::ones({8}), 8), IndexError);
  CHECK(w.get_value().at<float>({7}) == 0.875f);
}

TEST_CASE("DebugMode finds what kernels on a device do wrong", "[.fake_cuda][runtime][cuda][check]") {
  const OnFakeDevice fake;
  const Quiet quiet;
  const Variable x = vector("x");
  const auto call = [&] { function({x}, exp(x) * 2, {.mode = "DebugMode", .name = "f"})(halves(8)); };
  CHECK_NOTHROW(call());
  plant_fake_bug([](std::span<void* const> buffers) { static_cast<float*>(buffers.back())[3] += 1; });
  CHECK_THAT(message_of<BadThunkOutput>(call), Contains("CUDA kernel") &&
                                                   Contains("differs from the reference evaluator") &&
                                                   Contains("cuda_devices_test.cpp"));
  plant_fake_bug([](std::span<void* const> buffers) { static_cast<float*>(buffers.back())[8] = 1; });
  CHECK_THAT(message_of<BadDestroyMap>(call),
             Contains("writes 1 byte behind the end of a buffer of 32 bytes") ||
                 Contains("bytes behind the end of a buffer of 32 bytes"));
  plant_fake_bug([](std::span<void* const> buffers) { static_cast<float*>(buffers.front())[0] = 9; });
  const Function summed = function({x}, sum(exp(x)), {.mode = "DebugMode", .name = "g"});
  CHECK_THAT(message_of<BadDestroyMap>([&] { summed(halves(8)); }), Contains("writes over input 0"));
}

TEST_CASE("NanGuardMode and MonitorMode look at what lies on a device",
          "[.fake_cuda][runtime][cuda][check]") {
  const OnFakeDevice fake;
  const Quiet quiet;
  SharedVariable w = shared(halves(4), "w");
  const Variable x = vector("x");
  const Function guarded = function({x}, sum(log(w - x)), {.updates = {{w, w + 1}}, .mode = "NanGuardMode"});
  CHECK_THAT(message_of<NanGuardError>([&] { guarded(Tensor::ones({4})); }),
             Contains("NaN detected") && Contains("GpuCompositeReduce") && Contains("cuda_devices_test.cpp"));
  CHECK(w.get_value().at<float>({3}) == 1.5f);
  std::vector<std::string> seen;
  const Function watched =
      function({}, sum(exp(w)),
               {.mode = monitor_mode({}, [&](const NodeCall& call) {
                  REQUIRE(call.outputs[0].on_host());
                  seen.push_back(node_label(call.node) + " " + std::to_string(call.outputs[0].item<float>()));
                })});
  watched();
  REQUIRE(seen.size() == 2);
  CHECK_THAT(seen[0], Contains("GpuCompositeReduce") && Contains("9.848"));
  CHECK_THAT(seen[1], Contains("HostFromGpu") && Contains("9.848"));
  CHECK_THAT(watched.plan_text(), Contains("not recorded in CUDA graphs: every node is looked at"));
}
