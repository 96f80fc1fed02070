// Functions on a GPU, without one: a driver that works on host memory runs the CPU's code of each kernel.
// These cases are hidden; ctest runs them with that driver (CUDA_HOME leads to it).
#include <catch2/catch.hpp>
#include <random>

#include "croton/croton.h"
#include "croton/ops/evaluate.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/device_choice.h"
#include "fake_device.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;
using Catch::Matchers::Contains;

namespace {

/// 0, step, 2 step, …
Tensor ramp(const Shape& shape, double step = 0.01) {
  Tensor tensor = Tensor::empty(shape, DType::float32);
  for (std::int64_t i = 0; i < tensor.size(); ++i)
    tensor.data<float>()[i] = static_cast<float>(step * static_cast<double>(i));
  return tensor;
}

}  // namespace

TEST_CASE("the fake device is found and described", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice device;
  CHECK(choose_device("cuda") == Device::cuda(0));
  CHECK(choose_device("most-free") == Device::cuda(0));
  CHECK(choose_device("GPU-00010203") == Device::cuda(0));
  CHECK(choose_device("auto") == Device::cuda(0));
  CHECK(choose_device("cpu").is_host());
  CHECK_THROWS_WITH(choose_device("cuda3"), Contains("there is no device cuda3") && Contains("cuda0"));
  CHECK_THROWS_WITH(choose_device("GPU-77"), Contains("there is no GPU GPU-77"));
  const DeviceInfo info = device_info();
  REQUIRE(info.gpus.size() == 2);
  CHECK(info.gpus[1].device == "cuda1");
  CHECK(info.gpus[1].uuid != info.gpus[0].uuid);
  CHECK(choose_device("cuda:1") == Device::cuda(1));
  CHECK(choose_device(info.gpus[1].uuid) == Device::cuda(1));
  CHECK_THROWS_WITH(choose_device("GPU-"), Contains("means several GPUs") && Contains("cuda1 is GPU-4041"));
  CHECK(info.gpus[0].name == "Fake GPU");
  CHECK(info.gpus[0].major == 9);
  CHECK(info.parts[0].version == "CUDA 13.0");
  CHECK_THAT(device_report(info), Contains("cuda0") && Contains("compute capability 9.0"));
}

TEST_CASE("device memory is cut, kept and joined again", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  CudaDevice& device = CudaDevice::get(0);
  device.make_current();
  CudaMemory& memory = device.memory();
  memory.trim();
  const std::size_t in_use = memory.usage().in_use;
  std::mt19937_64 random(7);
  std::vector<std::pair<CudaMemory::Block*, std::size_t>> blocks;
  for (int step = 0; step < 3000; ++step) {
    if (blocks.empty() || random() % 5 < 3) {
      const std::size_t bytes = std::size_t{1} << (random() % 21);
      CudaMemory::Block* block = memory.take(bytes);
      REQUIRE(block->bytes >= bytes);
      REQUIRE(reinterpret_cast<std::uintptr_t>(block->address) % CudaMemory::granularity == 0);
      for (const auto& [other, size] : blocks) {
        const bool apart =
            block->address + bytes <= other->address || other->address + size <= block->address;
        if (!apart) FAIL("two blocks overlap");
      }
      blocks.emplace_back(block, bytes);
    } else {
      const std::size_t i = random() % blocks.size();
      memory.give_back(blocks[i].first);
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  CHECK(memory.usage().in_use > in_use);
  const long allocations = fake_calls("cuMemAlloc_v2");
  for (const auto& [block, bytes] : blocks) memory.give_back(block);
  CHECK(memory.usage().in_use == in_use);
  memory.give_back(memory.take(std::size_t{1} << 20));
  CHECK(fake_calls("cuMemAlloc_v2") == allocations);
  memory.trim();
  CHECK(memory.usage().reserved <= memory.usage().in_use + (std::size_t{64} << 20));
}

TEST_CASE("a training step stays on the device in few launches", "[.fake_cuda][runtime][cuda]") {
  const Variable x = matrix("x"), y = ivector("y");
  const Tensor images = ramp({20, 8}), labels = Tensor::zeros({20}, DType::int32);
  const Tensor first = ramp({8, 4}, -0.02);
  const auto train = [&](int steps, SharedVariable& w, std::string& text) {
    w = shared(first, "w");
    const SharedVariable b = shared(Tensor::zeros({4}), "b");
    const Variable p = softmax(dot(x, w) + b);
    const Variable loss = mean(categorical_crossentropy(p, y));
    const auto g = grad(loss, {w, b});
    const Function f = function({x, y}, loss, {.updates = {{w, w - 0.1 * g[0]}, {b, b - 0.1 * g[1]}}});
    std::vector<float> losses;
    for (int i = 0; i < steps; ++i) losses.push_back(f(images, labels).item<float>());
    text = f.plan_text();
    return losses;
  };
  SharedVariable on_host, on_device;
  std::string text;
  const std::vector<float> expected = train(6, on_host, text);
  const OnFakeDevice fake;
  const long launches = fake_calls("cuLaunchKernel");
  const std::vector<float> losses = train(6, on_device, text);
  INFO(text);
  REQUIRE(losses.size() == expected.size());
  for (std::size_t i = 0; i < losses.size(); ++i) CHECK(losses[i] == Approx(expected[i]));
  CHECK(allclose(on_device.get_value(), on_host.get_value()));
  CHECK(on_device.cell()->value().device() == Device::cuda(0));
  CHECK(on_device.get_value(true).on_host());
  // What is short is one launch; a fault check stands between it and what writes over the variables.
  CHECK_THAT(text, Contains("CUDA kernel of 5 nodes, from GpuDot22") && Contains("fault check"));
  CHECK(fake_calls("cuLaunchKernel") <= launches + 6 * 8);
  CHECK_THAT(text, !Contains("reference"));
}

TEST_CASE("a call on the device in the steady state takes nothing of the driver",
          "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x");
  SharedVariable w = shared(ramp({64, 64}, 1e-6), "w");
  const Function f = function({x}, sum(tanh(dot(tanh(dot(x, w)), w))), {.updates = {{w, w * 0.99}}});
  const Tensor a = ramp({200, 64});
  for (int i = 0; i < 4; ++i) f(a);
  const long launches = fake_calls("cuLaunchKernel"), device = fake_calls("cuMemAlloc_v2"),
             host = fake_calls("cuMemHostAlloc"), waits = fake_calls("cuStreamSynchronize"),
             graphs = fake_calls("cuGraphLaunch"), exchanges = fake_calls("cuGraphExecKernelNodeSetParams");
  for (int i = 0; i < 10; ++i) f(a);
  CHECK(fake_calls("cuLaunchKernel") == launches);
  CHECK(fake_calls("cuMemAlloc_v2") == device);
  CHECK(fake_calls("cuMemHostAlloc") == host);
  CHECK(fake_calls("cuStreamSynchronize") == waits);
  CHECK(fake_calls("cuGraphExecKernelNodeSetParams") == exchanges);
  CHECK(fake_calls("cuGraphLaunch") == graphs + 10);
}

TEST_CASE("batches of data on the device by a run-time index", "[.fake_cuda][runtime][cuda]") {
  const Variable index = lscalar("index");
  const SharedVariable data = shared(ramp({400, 100}, 1e-6), "data"), w = shared(ramp({100, 100}, 1e-4), "w");
  const auto expression = [&] {
    return tanh(dot(tanh(dot(tanh(dot(data(slice(index * 100, (index + 1) * 100)), w)), w)), w));
  };
  const Function reference = function({index}, expression());
  const OnFakeDevice fake;
  const Function f = function({index}, expression());
  const long captures = fake_calls("cuStreamBeginCapture_v2");
  for (int i = 0; i < 12; ++i) CHECK(allclose(f(i % 4).tensor(), reference(i % 4).tensor()));
  INFO(f.plan_text());
  CHECK(fake_calls("cuStreamBeginCapture_v2") == captures + 1);
  CHECK(fake_calls("cuGraphExecKernelNodeSetParams") > 0);
}

TEST_CASE("a training step over slices of a data set reads back its cost and nothing else",
          "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable start = lscalar("start"), stop = lscalar("stop");
  const SharedVariable data = shared(ramp({400, 30}, 1e-5), "data"), w = shared(ramp({30, 7}, 1e-3), "w");
  const SharedVariable labels = shared(Tensor::full({400}, 3, DType::int64), "labels");
  const Variable x = data(slice(start, stop)), y = labels(slice(start, stop));
  // The mean and its gradient divide by the number of labels: an extent of a slice.
  const Variable cost = mean(categorical_crossentropy(softmax(dot(tanh(x), w)), y));
  const Function step = function({start, stop}, cost, {.updates = {{w, w - 0.1 * grad(cost, w)}}});
  for (int i = 0; i < 3; ++i) step(100 * i, 100 * (i + 1));
  const long downloads = fake_calls("cuMemcpyDtoHAsync_v2"), waits = fake_calls("cuStreamSynchronize");
  for (int i = 0; i < 20; ++i) step(100 * (i % 4), 100 * (i % 4 + 1));
  CHECK(fake_calls("cuMemcpyDtoHAsync_v2") <= downloads + 2 * 20);  // the cost, and whether a label was wrong
  CHECK(fake_calls("cuStreamSynchronize") <= waits + 20);
}

TEST_CASE("what does not wait for each other runs side by side, over checks that know their values",
          "[.fake_cuda][runtime][cuda][branches]") {
  const std::vector<std::int64_t> widths{40, 50, 30, 20, 30, 7};
  const auto train = [&](std::vector<double>& costs, std::string& plan) {
    Variable h = shared(ramp({60, widths[0]}, 1e-4));
    const SharedVariable labels = shared(Tensor::full({60}, 3, DType::int64), "labels");
    std::vector<SharedVariable> weights;
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
      weights.push_back(shared(ramp({widths[i], widths[i + 1]}, 1e-4)));
      h = i + 2 < widths.size() ? tanh(dot(h, weights[i])) : dot(h, weights[i]);
    }
    const Variable cost = mean(categorical_crossentropy(softmax(h), labels));
    const std::vector<Variable> slopes = grad(cost, std::vector<Variable>(weights.begin(), weights.end()));
    std::vector<Update> updates;
    for (std::size_t i = 0; i < weights.size(); ++i)
      updates.push_back({weights[i], weights[i] - 0.1 * slopes[i]});
    const Function step = function({}, cost, {.updates = std::move(updates)});
    for (int i = 0; i < 6; ++i) costs.push_back(step().item<double>());
    plan = step.plan_text();
    return weights[0].get_value();
  };
  std::vector<double> expected, costs;
  std::string plan;
  const Tensor on_host = train(expected, plan);
  const OnFakeDevice fake;
  const long launches = fake_calls("cuGraphLaunch");
  const long preferred = fake_calls("cuGraphKernelNodeSetAttribute");
  const Tensor on_device = train(costs, plan);
  CHECK(allclose(on_device, on_host));
  for (std::size_t i = 0; i < costs.size(); ++i) CHECK(costs[i] == Approx(expected[i]));
  CHECK_THAT(plan, Contains(" behind ") && Contains("known to be good"));
  // From the second call on the labels are known: one graph over all.
  CHECK(fake_calls("cuGraphLaunch") <= launches + 5);
  // The gradients of the weights are needed at the end, those of the layers go first.
  CHECK_THAT(plan, Contains(", first\n"));
  CHECK(fake_calls("cuGraphKernelNodeSetAttribute") > preferred);
}

TEST_CASE("steps of one kernel run one behind the other", "[.fake_cuda][runtime][cuda][branches]") {
  // Products whose sums are cut into parts: the blocks of a kernel count themselves.
  std::vector<Variable> inputs, products;
  for (int i = 0; i < 9; ++i) {
    inputs.push_back(tensor(DType::float32, {unknown, unknown}, "a" + std::to_string(i)));
    products.push_back(dot(inputs[static_cast<std::size_t>(i)].T(), inputs[static_cast<std::size_t>(i)] + 1));
  }
  const OnFakeDevice fake;
  const Function f = function({inputs.begin(), inputs.end()}, products);
  std::vector<Tensor> values;
  for (int i = 0; i < 9; ++i) values.push_back(ramp({400, 30}, 1e-4));
  for (int call = 0; call < 3; ++call) {
    const Outputs got = f.call_all(values);
    for (std::size_t i = 0; i < products.size(); ++i) {
      const Tensor wanted = evaluate(products[i], {{inputs[i], values[i]}});
      CHECK(allclose(got[i].to_host(), wanted, 1e-4, 1e-4));
    }
  }
  // What the next product takes is computed beside the one before, the product itself is not.
  CHECK_THAT(f.plan_text(), Contains(" behind 11\n") && Contains(" behind 12, 13, first\n"));
}

TEST_CASE("constants behind a convolution in another layout stay on the host",
          "[.fake_cuda][runtime][cuda]") {
  const Variable x = tensor(DType::float32, {32, 2, 8, 7});
  const SharedVariable w = shared(ramp({3, 2, 3, 3}), "w"), v = shared(ramp({2, 3, 2, 2}), "v");
  const Variable bias = constant(ramp({1, 3, 1, 1}));
  const Variable y = conv2d(1 - sqr(conv2d(x, w) + bias), v);
  const FunctionOptions options{.mode = default_mode().including("conv_c01b")};
  const Tensor image = ramp({32, 2, 8, 7}), expected = function({x}, y, options)(image).tensor();
  const OnFakeDevice fake;
  const ConfigScope strict({{"on_opt_error", "raise"}});
  const Function f = function({x}, y, options);
  CHECK(allclose(f(image).tensor(), expected));
  CHECK_THAT(debugprint_text(*f.plan_graph()), Contains("C01bConv"));
}

TEST_CASE("shapes that depend on values on the device are transfers", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const SharedVariable w = shared(Tensor::ones({2, 2}), "w");
  const Function f = function({}, {dot(w, w), zeros({sum(w).astype(DType::int64)})});
  CHECK(f()[1].shape() == Shape{4});
  CHECK(w.cell()->value().device().is_cuda());
  const ConfigScope strict({{"transfers", "raise"}});
  CHECK_THROWS_WITH(f(), Contains("w") && Contains("on which shapes depend"));
}

TEST_CASE("a shared variable that is only written gets its value on the device",
          "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x");
  const SharedVariable result = shared(Tensor::empty({0, 0}), "result");
  const Function f = function({x}, {}, {.updates = {{result, tanh(x)}}});
  f(ramp({3, 4}));
  CHECK_FALSE(result.cell()->value().on_host());
  CHECK(result.get_value().shape() == Shape{3, 4});
}

TEST_CASE("device tensors are taken and given", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x");
  const Function up = function({x}, transfer(x * 2, "cuda"));
  const Function f = function({x}, {sqr(x), transfer(x, "cpu")});
  const Tensor a = ramp({3, 5});
  const Tensor there = up(a);
  CHECK_FALSE(there.on_host());
  CHECK(there.device() == Device::cuda(0));
  const long uploads = fake_calls("cuMemcpyHtoDAsync_v2");
  for (int i = 0; i < 3; ++i) {
    const Outputs results = f(there);
    CHECK(allclose(results[0], eval(sqr(constant(a) * 2))));
    CHECK(results[0].on_host());
    CHECK(allclose(results[1], there));
  }
  CHECK(fake_calls("cuMemcpyHtoDAsync_v2") == uploads);
  // A result that is kept is not written over.
  const Tensor kept = up(a), other = up(ramp({3, 5}, 0.5));
  CHECK(allclose(kept, there));
  CHECK_FALSE(allclose(other, there));
}

TEST_CASE("a bad label on the device is the same error, and nothing is updated",
          "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x"), y = ivector("y");
  SharedVariable w = shared(ramp({8, 4}, 0.02), "w");
  const Variable loss = mean(categorical_crossentropy(softmax(dot(x, w)), y));
  const Function f = function({x, y}, loss, {.updates = {{w, w - grad(loss, w)}}});
  const Tensor images = ramp({3, 8});
  for (int i = 0; i < 3; ++i) f(images, Tensor(std::vector<int>{0, 1, 3}));
  const Tensor before = w.get_value();
  CHECK_THROWS_AS(f(images, Tensor(std::vector<int>{0, 4, 3})), IndexError);
  CHECK(equal(w.get_value(), before));
  f(images, Tensor(std::vector<int>{0, 1, 3}));
  CHECK_FALSE(equal(w.get_value(), before));
}

TEST_CASE("labels on the device that were good are not waited for again", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x"), y = ivector("y"), i = lscalar("i");
  SharedVariable w = shared(ramp({8, 4}, 0.02), "w");
  SharedVariable labels = shared(Tensor(std::vector<int>{0, 1, 2, 3}), "labels");
  const SharedVariable data = shared(ramp({4, 8}), "data");
  const Variable loss = mean(categorical_crossentropy(softmax(dot(x, w)), y));
  const Slice part{i * 2, i * 2 + 2, std::nullopt};
  const Function f = function(
      {i}, loss, {.updates = {{w, w - grad(loss, w)}}, .givens = {{x, data(part)}, {y, labels(part)}}});
  const auto waits = [] { return fake_calls("cuEventSynchronize"); };
  for (int k = 0; k < 4; ++k) f(k % 2);
  const long before = waits();
  for (int k = 0; k < 6; ++k) f(k % 2);
  CHECK(waits() == before);
  const Tensor good = w.get_value();
  labels.set_value(Tensor(std::vector<int>{0, 1, 2, 4}));
  f(0);
  const Tensor after_good = w.get_value();
  CHECK_FALSE(equal(after_good, good));
  CHECK_THROWS_AS(f(1), IndexError);
  CHECK(equal(w.get_value(), after_good));
  const Function change = function({}, {}, {.updates = {{labels, labels * 0 - 1}}});
  labels.set_value(Tensor(std::vector<int>{0, 1, 2, 3}));
  for (int k = 0; k < 4; ++k) f(k % 2);
  change();
  CHECK_THROWS_AS(f(0), IndexError);
}

TEST_CASE("running out of device memory says what is there, and the next call works",
          "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  CudaDevice::get(0).memory().trim();
  const auto set_memory = set_fake_memory;
  const Variable x = vector("x");
  SharedVariable w = shared(Tensor::ones({1 << 20}), "w");
  const Function f = function({x}, sum(exp(x)) + sum(w), {.updates = {{w, w * 2}}});
  set_memory(std::size_t{24} << 20);
  const Tensor large = Tensor::ones({8 << 20});
  CHECK_THROWS_WITH(f(large), Contains("out of memory on cuda0") && Contains("were asked for") &&
                                  Contains("the largest in use:\n") &&
                                  Contains("a value of a shared variable") &&
                                  Contains("smaller batches need less"));
  CHECK(w.get_value().at<float>({0}) == 1);
  set_memory(std::size_t{1} << 30);
  f(Tensor::ones({1 << 20}));
  CHECK(w.get_value().at<float>({0}) == 2);
}

TEST_CASE("random graphs give on the device what they give on the host", "[.fake_cuda][runtime][cuda]") {
  std::mt19937_64 random(1234);
  for (int round = 0; round < 40; ++round) {
    const test::RandomGraph graph = test::random_graph(random, 5 + round, round % 2 == 0);
    const std::vector<In> inputs(graph.inputs.begin(), graph.inputs.end());
    const Function host = function(inputs, graph.outputs, {.on_unused_input = OnUnusedInput::ignore});
    const auto values = test::random_values(graph.inputs, -1, 1, random);
    std::vector<Tensor> arguments;
    for (const Variable& input : graph.inputs) arguments.push_back(values.at(input));
    const OnFakeDevice fake;
    const Function f = function(inputs, graph.outputs, {.on_unused_input = OnUnusedInput::ignore});
    const Outputs expected = host.call_all(arguments);
    for (int call = 0; call < 3; ++call) {
      const Outputs got = f.call_all(arguments);
      for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
        INFO("round " << round << ", call " << call << ", output " << i << "\n" << f.plan_text());
        CHECK(allclose(got[i], expected[i], 1e-9, 1e-11, true));
      }
    }
  }
}

TEST_CASE("transfers can be forbidden", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = vector("x");
  SharedVariable w = shared(ramp({4}), "w");
  const Function f = function({x}, sum(exp(x) * w), {.updates = {{w, w + 1}}});
  const Tensor a = ramp({4});
  {
    const ConfigScope flags({{"transfers", "raise"}});
    CHECK_THROWS_WITH(f(a), Contains("copies between host and GPU") && Contains("w ("));
  }
  f(a);
  const ConfigScope flags({{"transfers", "raise"}});
  for (int i = 0; i < 5; ++i) f(a);
  CHECK(w.get_value().at<float>({0}) == 6);
}

TEST_CASE("shared variables move to where they are used", "[.fake_cuda][runtime][cuda]") {
  SharedVariable w = shared(ramp({4, 4}), "w");
  const Tensor before = w.get_value();
  const Function on_host = function({}, {}, {.updates = {{w, w + 1}}});
  const OnFakeDevice fake;
  const Function f = function({}, sum(w), {.updates = {{w, w * 2}}});
  f();
  CHECK(w.cell()->value().device() == Device::cuda(0));
  on_host();
  CHECK(w.cell()->value().device().is_host());
  f();
  CHECK(allclose(w.get_value(), eval((constant(before) * 2 + 1) * 2)));
  w.set_value(before);
  f();
  const Tensor held = w.cell()->value();  // somebody else's: not written over
  f();
  CHECK(allclose(held, eval(constant(before) * 2)));
  CHECK(allclose(w.get_value(), eval(constant(before) * 4)));
}

TEST_CASE("work on windows of a join is cut into pieces that do without it", "[.fake_cuda][runtime][cuda]") {
  const Variable x = tensor4("x");
  const Tensor image = ramp({2, 16, 100, 100}, 1e-6);
  const auto normalised = [&] {
    const Variable border = zeros({2, 2, 100, 100}, DType::float32);
    const Variable squares = concatenate({border, sqr(x), border}, 1);
    Variable sum = squares(all, slice(0, 16));
    for (std::int64_t i = 1; i < 5; ++i) sum = sum + squares(all, slice(i, i + 16));
    return x * pow(1 + 0.5 * sum, -0.75);
  };
  const Tensor expected = function({x}, normalised())(image).tensor();
  const OnFakeDevice fake;
  const Function f = function({x}, normalised());
  const Tensor got = f(image).tensor();
  INFO(f.plan_text());
  CHECK(allclose(got, expected));
  CHECK_THAT(f.plan_text(), !Contains("Join") && !Contains("sqr,no_inplace"));
}

TEST_CASE("a logarithm of a sum of exponentials is one kernel", "[.fake_cuda][runtime][cuda]") {
  const Variable x = matrix("x");
  const Tensor rows = ramp({300, 700}, 1e-4);
  const Tensor expected = function({x}, log(sum(exp(x), 1)))(rows).tensor();
  const OnFakeDevice fake;
  const Function f = function({x}, log(sum(exp(x), 1)));
  CHECK(allclose(f(rows).tensor(), expected));
  CHECK_THAT(f.plan_text(), Contains("CUDA kernel of 2 nodes"));
}

TEST_CASE("a pooling, what follows it element by element, and their gradients are one kernel",
          "[.fake_cuda][runtime][cuda]") {
  const Variable x = ftensor4("x"), b = fvector("b");
  const Variable y = tanh(pool_2d(x, {2, 2}) + b.dimshuffle({'x', 0, 'x', 'x'}));
  const Variable cost = sum(sqr(y));
  const Tensor images = ramp({40, 8, 24, 24}, 1e-5), shifts = ramp({8}, -0.1);
  const auto check = [&](const std::vector<Variable>& outputs, const std::string& kernels) {
    const std::vector<Tensor> arguments{images, shifts};
    const Outputs expected = function({x, b}, outputs).call_all(arguments);
    const OnFakeDevice fake;
    const Function f = function({x, b}, outputs);
    const Outputs got = f.call_all(arguments);
    INFO(f.plan_text());
    for (std::size_t i = 0; i < outputs.size(); ++i) CHECK(allclose(got[i], expected[i]));
    CHECK_THAT(f.plan_text(), Contains(kernels));
  };
  check({y, grad(cost, x)}, "CUDA kernel of 4 nodes, from GpuMaxPoolPlaces");
  // The gradient of b, which stands between the others, is summed behind them.
  check({y, grad(cost, b), grad(cost, x)}, "CUDA kernel of 4 nodes, from GpuMaxPoolPlaces");
}

TEST_CASE("a pooling by maxima on a GPU says where they lie, and the filters' gradient before it reads that",
          "[.fake_cuda][runtime][cuda]") {
  const Variable x = ftensor4("x");
  const auto filters = [](const Shape& shape) { return shared(ramp(shape, 1e-3), "w"); };
  struct Net {
    SharedVariable w;
    PoolOptions options;
    bool has_places, is_read_by_convolution;
  };
  const std::vector<Net> nets{{filters({3, 1, 3, 3}), {}, true, true},
                              {filters({3, 1, 3, 3}), {.stride = {1, 1}}, true, false},
                              {filters({3, 1, 3, 3}), {.mode = "average_inc_pad"}, false, false},
                              {filters({3, 1, 2, 3}), {}, true, false},  // 9 rows: the last is in no window
                              {filters({40, 40, 3, 3}), {}, true, false}};  // not by direct loops
  for (const Net& net : nets) {
    const std::int64_t channels = net.w.get_value().shape()[1];
    const Tensor images = ramp({4, channels, 10, 8}, 1e-3);
    const Variable y = tanh(pool_2d(conv2d(x, net.w), {2, 2}, net.options));
    const std::vector<Variable> outputs{y, grad(sum(sqr(y)), net.w)};
    const Outputs expected = function({x}, outputs).call_all(std::vector{images});
    const OnFakeDevice fake;
    const Function f = function({x}, outputs);
    const Outputs got = f.call_all(std::vector{images});
    const std::string graph = debugprint_text(*f.plan_graph());
    INFO(graph);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      CHECK(allclose(got[i].to_host(), expected[i], 1e-4, 1e-4));
    CHECK((graph.find("GpuMaxPoolPlaces{") != std::string::npos) == net.has_places);
    CHECK((graph.find("maxima=(2, 2)") != std::string::npos) == net.is_read_by_convolution);
    CHECK((graph.find("GpuMaxPoolPlacesGrad{") != std::string::npos) ==
          (net.has_places && !net.is_read_by_convolution));
  }
}

TEST_CASE("NVTX is told of functions and steps when it is asked to", "[.fake_cuda][runtime][cuda][profile]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x");
  const auto run = [&] {
    const Function f = function({x}, sum(tanh(x), 1), {.name = "named"});
    f(ramp({4, 3}));
  };
  fake_nvtx_said();
  run();
  CHECK(fake_nvtx_said().empty());
  const ConfigScope scope({{"gpu.nvtx", "true"}});
  run();
  CHECK_THAT(fake_nvtx_said(),
             Catch::Matchers::StartsWith("function 'named'\n  GpuFromHost<cuda0>") &&
                 Contains("\n  GpuCompositeReduce{sum, tanh(i0), axis=[1]}, cuda_runtime_test.cpp:") &&
                 Contains("\n  HostFromGpu"));
}

TEST_CASE("the gradients of a layer of two inputs are one pass over its units",
          "[.fake_cuda][runtime][cuda]") {
  const auto train = [](const char* device) {
    const ConfigScope scope({{"device", device}});
    constexpr std::int64_t points = 1024, units = 1030;
    const SharedVariable first = shared(ramp({2, units}, 1e-3), "first"),
                         bias = shared(ramp({units}, 1e-3), "bias"),
                         second = shared(ramp({units, 2}, -1e-3), "second");
    const Variable x = fmatrix("x");
    const Variable cost = mean(sqr(dot(tanh(dot(x, first) + bias), second) - x));
    std::vector<Update> updates;
    for (const SharedVariable& p : {first, bias, second}) updates.push_back({p, p - 1e-2 * grad(cost, p)});
    const Function step = function({x}, cost, {.updates = updates});
    double last = 0;
    for (int i = 0; i < 4; ++i) last = step(ramp({points, 2}, -1e-3)).item<double>();
    return std::pair{last, debugprint_text(step)};
  };
  const OnFakeDevice fake;
  const auto [cost, graph] = train("cuda");
  CHECK_THAT(graph, Contains("GpuCompositeReduce{sum, [") && Contains("GpuJoin"));
  CHECK(cost == Approx(train("cpu").first).epsilon(1e-4));
}

TEST_CASE("products on a GPU say what precision lets them round", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Variable x = matrix("x"), w = matrix("w");
  const auto graph = [&] {
    const Function f = function({x, w}, dot(x, w) + dot(w, x));
    f(ramp({40, 40}), ramp({40, 40}));
    return debugprint_text(f);
  };
  CHECK_THAT(graph(), Contains("Gpu") && !Contains("ieee"));
  const ConfigScope scope({{"precision", "tf32"}});
  CHECK_THAT(graph(), Contains("tf32}"));
}

TEST_CASE("whether cuDNN is there is told with the reason", "[.fake_cuda][runtime][cuda]") {
  const OnFakeDevice fake;
  const Availability dnn = dnn_available();
  if (!dnn) CHECK_THAT(dnn.reason, Contains("cuDNN"));
  CHECK_FALSE(dnn_available("cuda9"));
  CHECK_THAT(dnn_available("cuda9").reason, Contains("there is no device cuda9"));
  CHECK_NOTHROW(start_device());
  CHECK_THROWS_WITH(start_device("cuda9"), Contains("device=cuda9 cannot be used"));
}
