#include <catch2/catch.hpp>
#include <limits>
#include <random>

#include "concrete_conv.h"
#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/cuda_nvrtc.h"
#include "croton/codegen/loop_interpreter.h"
#include "croton/ops/conv_implementations.h"
#include "cuda_host.h"
#include "gpu_cases.h"
#include "random_cases.h"

// The direct convolutions generated for a GPU, whose tiles depend on the number of its multiprocessors: by
// the interpreter, which checks that no access is outside of a buffer, and as CUDA code.

using namespace croton;
using namespace croton::test;

namespace {

void check_interpreted(const ConcreteConvCase& c, int multiprocessors) {
  INFO(to_string(c.problem) << " on " << multiprocessors << " multiprocessors");
  GpuRun run({c.node(direct_conv_op()), {c.first, c.second}}, multiprocessors);
  for (const LoweredKernel& kernel : run.code.kernels) interpret(kernel.kernel, run.buffers(kernel).data());
  check_conv(c, run.outputs[0]);
}

constexpr ConvDirection directions[] = {ConvDirection::forward, ConvDirection::backward_inputs,
                                        ConvDirection::backward_weights};

std::vector<ConcreteConvCase> few_channel_cases(ConvDirection direction) {
  return {
      concrete_conv(direction, {3, 1, 28, 28}, {20, 1, 5, 5}),              // LeNet's first layer
      concrete_conv(direction, {2, 8, 14, 14}, {8, 1, 3, 3}, 1, 1, 1, 8),   // depthwise
      concrete_conv(direction, {2, 6, 15, 13}, {12, 1, 3, 3}, 1, 2, 1, 6),  // two filters a channel, stride 2
      concrete_conv(direction, {2, 3, 17, 11}, {7, 3, 3, 3}, 2, 1, 2),      // dilated
      concrete_conv(direction, {1, 3, 27, 25}, {5, 3, 11, 11}, 2, 4),       // a first layer with long steps
      concrete_conv(direction, {1, 1, 41, 9}, {2, 1, 19, 3}),  // a kernel of more rows than are written out
      concrete_conv(direction, {2, 2, 9, 8}, {3, 2, 4, 4}, 1, 1, 1, 1, false),  // a correlation
      concrete_conv(direction, {2, 2, 13, 8}, {5, 2, 3, 3}, 1, 1, 1, 1, true, DType::float64),
      concrete_conv(direction, {2, 2, 13, 8}, {5, 2, 3, 3}, 1, 1, 1, 1, true, DType::bfloat16),
  };
}

}  // namespace

TEST_CASE("direct convolutions for a GPU, interpreted", "[codegen][cuda][conv]") {
  std::mt19937 random(31);
  for (int i = 0; i < random_cases(250); ++i)
    check_interpreted(random_concrete_conv(random), i % 3 == 0 ? 132 : 1);
  for (const ConvDirection direction : directions) {
    for (const ConcreteConvCase& c : few_channel_cases(direction)) check_interpreted(c, 1);
  }
}

TEST_CASE("direct convolutions for a GPU, as CUDA code", "[codegen][cuda][conv]") {
  if (!has_host_compiler()) return;
  std::vector<ConcreteConvCase> cases;
  for (const ConvDirection direction : directions) {
    for (ConcreteConvCase& c : few_channel_cases(direction)) cases.push_back(std::move(c));
  }
  std::vector<GpuRun> runs;
  std::vector<Kernel> kernels;
  for (const ConcreteConvCase& c : cases) {
    runs.emplace_back(GpuCase{c.node(direct_conv_op()), {c.first, c.second}}, 1);
    for (const LoweredKernel& kernel : runs.back().code.kernels) kernels.push_back(kernel.kernel);
  }
  const CudaOnHost code(kernels, 1);
  std::size_t next = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO(to_string(cases[i].problem));
    for (const LoweredKernel& kernel : runs[i].code.kernels) code.run(next++, runs[i].buffers(kernel).data());
    check_conv(cases[i], runs[i].outputs[0]);
  }
}

TEST_CASE("direct convolutions compile for every architecture", "[codegen][cuda][conv][nvrtc]") {
  if (!nvrtc_info().is_available) {
    WARN("not tested: " << nvrtc_info().reason);
    return;
  }
  std::vector<Kernel> kernels;
  for (const ConvDirection direction : directions) {
    // LeNet's first layer and a depthwise one: tiles of many registers.
    for (const ConcreteConvCase& c :
         {concrete_conv(direction, {500, 1, 28, 28}, {20, 1, 5, 5}),
          concrete_conv(direction, {8, 64, 28, 28}, {64, 1, 3, 3}, 1, 1, 1, 64)}) {
      for (LoweredKernel& kernel : GpuRun({c.node(direct_conv_op()), {c.first, c.second}}, 132).code.kernels)
        kernels.push_back(std::move(kernel.kernel));
    }
  }
  for (const int architecture : {80, 90, 100}) {
    const CudaTarget target{.architecture = architecture, .use_cache = false};
    for (const auto& kernel : compile_cuda(kernels, target)) CHECK_FALSE(kernel->cubin.empty());
  }
}

TEST_CASE("an infinity or NaN in an image reaches its own results only", "[codegen][cuda][conv]") {
  for (const double odd :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    for (const ConvDirection direction : {ConvDirection::forward, ConvDirection::backward_weights}) {
      ConcreteConvCase c = concrete_conv(direction, {2, 1, 11, 9}, {3, 1, 3, 2});
      INFO(to_string(c.problem));
      // In the last row, beside what the last tiles reach beyond the edge.
      c.first.data<float>()[c.first.size() - 1] = static_cast<float>(odd);
      const GpuCase gpu_case{c.node(direct_conv_op()), {c.first, c.second}, 1e-4, 1e-4};
      GpuRun run(gpu_case, 1);
      for (const LoweredKernel& kernel : run.code.kernels)
        interpret(kernel.kernel, run.buffers(kernel).data());
      run.check(gpu_case);
    }
  }
}
