#include <catch2/catch.hpp>
#include <exception>
#include <thread>

#include "croton/codegen/cuda_contraction.h"
#include "croton/codegen/cuda_emit.h"
#include "croton/codegen/cuda_kernel.h"
#include "croton/codegen/cuda_nvrtc.h"
#include "croton/codegen/cuda_prelude.h"
#include "croton/codegen/kernel_builder.h"
#include "cuda_host.h"
#include "gpu_cases.h"

// Generated code through NVRTC. No GPU is needed; without NVRTC (tools/cuda_wheels fetches it) nothing is
// tested.

using namespace croton;
using namespace croton::test;

namespace {

bool has_nvrtc() {
  if (!nvrtc_info().is_available) WARN("not tested: " << nvrtc_info().reason);
  return nvrtc_info().is_available;
}

/// Many kernels in `parts` translation units: starting NVRTC costs more than most kernels.
std::vector<std::string> sources(const std::vector<GpuCase>& cases, std::size_t parts, int multiprocessors) {
  std::vector<std::string> texts(parts, std::string(cuda_device_prelude()) + std::string(cuda_prelude()) +
                                            std::string(contraction_device_prelude()) +
                                            std::string(contraction_prelude()));
  std::size_t number = 0;
  for (const GpuCase& c : cases) {
    for (LoweredKernel& lowered : GpuRun(c, 132).code.kernels) {
      lowered.kernel.name = "k" + std::to_string(number);
      texts[number++ % parts] += emit_cuda(lowered.kernel, multiprocessors).text;
    }
  }
  return texts;
}

void compile_all(const std::vector<std::string>& texts, const std::vector<int>& architectures) {
  std::vector<std::string> failures(texts.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        for (const int architecture : architectures) {
          if (compile_cuda_source(texts[i], "all.cu", architecture).empty()) failures[i] = "an empty cubin";
        }
      } catch (const std::exception& error) {
        failures[i] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) {
    INFO(failure.substr(0, 4000));
    CHECK(failure.empty());
  }
}

Kernel scaled(const char* name, double factor) {
  KernelBuilder b(name);
  const Buffer x = b.input("x", DType::float32, 1000), y = b.output("y", DType::float32, 1000);
  b.parallel(
      "i", 1000,
      [&](Index i) {
        b.store(y, i, b.emit(ScalarOp::mul, b.load(x, i), b.constant(factor, DType::float32)));
      },
      vectorize);
  return b.build();
}

}  // namespace

TEST_CASE("every elementwise row compiles for every architecture", "[codegen][cuda][nvrtc]") {
  if (!has_nvrtc()) return;
  compile_all(sources(gpu_elementwise_cases(), 2, 132), {80, 90, 100});
}

TEST_CASE("what nodes are lowered to compiles", "[codegen][cuda][nvrtc]") {
  if (!has_nvrtc()) return;
  compile_all(sources(gpu_cases(), 2, 0), {90});
}

TEST_CASE("kernels are compiled once, and say how they are launched", "[codegen][cuda][nvrtc]") {
  if (!has_nvrtc()) return;
  CudaTarget target;
  target.use_cache = false;
  const std::vector<Kernel> kernels{scaled("double", 2), scaled("half", 0.5), scaled("double", 2)};
  const auto compiled = compile_cuda(kernels, target);
  REQUIRE(compiled.size() == 3);
  CHECK(compiled[0] == compiled[2]);
  CHECK(compiled[0] != compiled[1]);
  CHECK(compiled[0]->cubin.substr(1, 3) == "ELF");
  REQUIRE(compiled[0]->phases.size() == 1);
  const CudaKernel::Phase& phase = compiled[0]->phases[0];
  CHECK(phase.function == "croton_double_0");
  CHECK(phase.grid * phase.block >= 1000);
  CHECK(phase.buffers == std::vector<std::int32_t>{0, 1});
  CHECK(compile_cuda(kernels, target)[0] == compiled[0]);
}

TEST_CASE("an architecture that NVRTC does not know is named", "[codegen][cuda][nvrtc]") {
  if (!has_nvrtc()) return;
  const std::vector<Kernel> kernels{scaled("old", 3)};
  CudaTarget target;
  target.architecture = 35;
  target.use_cache = false;
  CHECK_THROWS_WITH(compile_cuda(kernels, target), Catch::Contains("compute capability 3.5"));
}
