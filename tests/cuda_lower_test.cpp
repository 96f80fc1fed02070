#include <catch2/catch.hpp>

#include "cuda_host.h"
#include "gpu_cases.h"

// What nodes are lowered to for a GPU, as CUDA code compiled for the host, against the reference evaluator.

using namespace croton;
using namespace croton::test;

namespace {

/// `lowered_for` and `emitted_for`: multiprocessors; few make small problems use what large ones would.
void check_all(const std::vector<GpuCase>& cases, int lowered_for, int emitted_for) {
  if (!has_host_compiler()) return;
  std::vector<GpuRun> runs;
  std::vector<Kernel> kernels;
  for (const GpuCase& c : cases) {
    runs.emplace_back(c, lowered_for);
    for (const LoweredKernel& kernel : runs.back().code.kernels) kernels.push_back(kernel.kernel);
  }
  const CudaOnHost code(kernels, emitted_for);
  std::size_t next = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (const LoweredKernel& kernel : runs[i].code.kernels) {
      UNSCOPED_INFO(to_text(kernel.kernel) << code.source(next).text);
      code.run(next++, runs[i].buffers(kernel).data());
    }
    runs[i].check(cases[i]);
  }
}

}  // namespace

TEST_CASE("nodes lowered for a large GPU", "[codegen][cuda][lower]") { check_all(gpu_cases(), 132, 132); }

TEST_CASE("nodes lowered for a tiny GPU", "[codegen][cuda][lower]") { check_all(gpu_cases(), 1, 0); }

TEST_CASE("every elementwise row on every dtype, in CUDA code", "[codegen][cuda][lower]") {
  check_all(gpu_elementwise_cases(), 132, 132);
}
