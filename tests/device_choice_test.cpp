#include <catch2/catch.hpp>

#include "croton/croton.h"
#include "croton/graph/type.h"
#include "croton/optimizer/optimizer.h"
#include "croton/runtime/cuda_driver.h"
#include "croton/runtime/device_choice.h"

using namespace croton;
using Catch::Matchers::Contains;

TEST_CASE("devices have names", "[graph][device]") {
  CHECK(Device::from_name("cpu").is_host());
  CHECK(Device::from_name("cuda") == Device::cuda(0));
  CHECK(Device::from_name("cuda3") == Device::cuda(3));
  CHECK(Device::from_name("cuda:12") == Device::cuda(12));
  CHECK(to_string(Device::cuda(2)) == "cuda2");
  CHECK(to_string(Device()) == "cpu");
  for (const char* bad : {"", "cud", "cuda-1", "cuda1.5", "cuda99999999", "CPU"}) {
    INFO(bad);
    CHECK_THROWS_AS(Device::from_name(bad), ValueError);
  }
  CHECK_THROWS_WITH(Device::from_name("gpu"), Contains("GPUs are called cuda"));
}

TEST_CASE("types say where a tensor lies", "[graph][device]") {
  const TensorType type{DType::float32, {3, unknown}, Device::cuda(1)};
  CHECK(to_string(type) == "float32[3,?]@cuda1");
  CHECK(theano_name(type) == "GpuArrayType<cuda1>(float32, matrix)");
  CHECK_FALSE(type == TensorType{DType::float32, {3, unknown}});
  CHECK(compatible(type, {DType::float32, {3, 4}}));
}

TEST_CASE("nodes compute where their data lies", "[ops][device]") {
  const Variable x = matrix("x"), there = gpu_from_host(x), i = lscalar("i");
  CHECK(there.type().device == Device::cuda(0));
  CHECK((there + 1).type().device == Device::cuda(0));
  CHECK(there(slice(i, i + 2)).type().device == Device::cuda(0));
  CHECK(there.shape().type().device.is_host());
  CHECK(host_from_gpu(there + 1).type().device.is_host());
  CHECK(transfer(there, "cuda0") == there);
  CHECK(transfer(x, "cpu") == x);
  CHECK(transfer(there, "cuda1").type().device == Device::cuda(1));
  CHECK(node_label(*exp(there).node()) == "GpuElemwise{exp,no_inplace}");
  CHECK(node_label(*there.T().node()) == "GpuDimShuffle{1,0}");
  CHECK(node_label(*there.node()) == "GpuFromHost<cuda0>");
  CHECK(node_label(*host_from_gpu(there).node()) == "HostFromGpu");
  CHECK_THROWS_WITH(there + x, Contains("operands lie on different devices") && Contains("cuda0") &&
                                   Contains("use transfer"));
  CHECK_THROWS_WITH(x(slice(0, gpu_from_host(i))) + there, Contains("operand"));
  CHECK_THROWS_AS(transfer(x, "tpu"), ValueError);
}

TEST_CASE("the gradient comes back through transfers", "[ops][device]") {
  const Variable x = vector("x");
  const Variable cost = sum(sqr(host_from_gpu(exp(gpu_from_host(x)))));
  const Variable g = grad(cost, x);
  CHECK(g.type().device.is_host());
  const Function f = function({x}, g, {.mode = Mode(ModeName::None)});
  CHECK(allclose(f(Tensor{0.f, 1.f}).tensor(), Tensor{2.f, 14.778112f}, 1e-5));
}

TEST_CASE("a device that cannot be used is an error that says what is missing", "[runtime][device]") {
  CHECK(choose_device("cpu").is_host());
  if (!cuda_driver_problem().empty()) {
    CHECK_THROWS_AS(choose_device("cuda"), DeviceError);
    CHECK_THROWS_WITH(choose_device("cuda"),
                      Contains("device=cuda cannot be used") && Contains("libcuda.so.1"));
    const Variable x = scalar("x");
    CHECK_THROWS_AS(function({x}, x + 1, {.device = "cuda0"}), DeviceError);
    CHECK(choose_device("auto").is_host());
    CHECK(device_info().gpus.empty());
    CHECK_FALSE(device_info().parts.front().is_found);
    CHECK_THAT(device_report(device_info()), Contains("driver") && Contains("not found"));
  } else {
    CHECK(device_info().parts.front().is_found);
  }
  CHECK_THROWS_AS(choose_device("cuda999"), DeviceError);
}

TEST_CASE("assert_no_cpu_op tells what stays on the CPU", "[optimizer][device]") {
  const Variable x(Node::make_input({DType::float32, {3, 4}}, "x", {}));
  const auto specialize_with = [&](const char* action) {
    const ConfigScope flags({{"assert_no_cpu_op", action}});
    const std::vector<Variable> inputs{x}, outputs{sum(exp(x) * 2)};
    FunctionGraph graph(inputs, outputs);
    SpecializeOptions options;
    options.device = Device::cuda(0);
    options.supports = [](const Node& node) { return node.op().name() != "exp"; };
    specialize(graph, Query(), options);
  };
  specialize_with("ignore");
  CHECK_THROWS_WITH(specialize_with("raise"), Contains("computes on the CPU") && Contains("Elemwise{exp"));
  std::string message;
  set_message_sink([&](Severity, std::string_view text) { message = text; });
  specialize_with("warn");
  set_message_sink({});
  CHECK_THAT(message, Contains("Elemwise{exp"));
}
