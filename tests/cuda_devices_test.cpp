// Several GPUs in one process, and modes that look at what runs on them; with the fake driver, which has two.
#include <catch2/catch.hpp>

#include "croton/croton.h"
#include "croton/graph/check_error.h"
#include "croton/graph/debugprint.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_memory.h"
#include "device_cases.h"
#include "fake_device.h"
#include "message_of.h"
#include "messages.h"
#include "quiet.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;
using Catch::Matchers::Contains;

TEST_CASE("a function works where the targets of its variables are", "[.fake_cuda][runtime][cuda][devices]") {
  const OnFakeDevice fake;
  check_targets();
}

TEST_CASE("variables on two devices meet by copies between them", "[.fake_cuda][runtime][cuda][devices]") {
  const OnFakeDevice fake;
  const Function f = check_two_devices();
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
  check_transfers_between_devices();
}

TEST_CASE("random graphs with state on two devices", "[.fake_cuda][runtime][cuda][devices][random]") {
  const OnFakeDevice fake;
  check_random_graphs_on_two_devices();
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
