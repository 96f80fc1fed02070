#include <catch2/catch.hpp>
#include <random>

#include "croton/codegen/loop_interpreter.h"
#include "croton/codegen/thin_product.h"
#include "croton/ops/blas.h"
#include "cuda_host.h"
#include "gpu_cases.h"
#include "lowered.h"
#include "nodes.h"
#include "random_cases.h"

// Products of a GPU with a small outer extent, in one pass over the long operand.

using namespace croton;
using namespace croton::test;

namespace {

/// A matrix, or the transpose of one.
Tensor matrix(std::int64_t rows, std::int64_t columns, DType dtype, bool is_transposed, unsigned seed) {
  if (!is_transposed) return random_tensor({rows, columns}, dtype, seed);
  return random_tensor({columns, rows}, dtype, seed).transpose({1, 0});
}

GpuCase product(std::int64_t m, std::int64_t n, std::int64_t k, DType dtype, bool a_transposed,
                bool b_transposed, unsigned seed) {
  const Tensor a = matrix(m, k, dtype, a_transposed, seed), b = matrix(k, n, dtype, b_transposed, seed + 1);
  const double tolerance = dtype == DType::bfloat16 ? 0.05 : 1e-4;
  return {
      make_node(dot22_op(), {input_like(a), input_like(b)}, {})->output(), {a, b}, tolerance, 10 * tolerance};
}

/// W - 0.1 * a @ b, as a gradient step has it.
GpuCase step(std::int64_t m, std::int64_t n, std::int64_t k, bool a_transposed, bool b_transposed) {
  const Tensor w = random_tensor({m, n}, DType::float32, 3), alpha = Tensor(-0.1f), beta = Tensor(1.0f);
  const Tensor a = matrix(m, k, DType::float32, a_transposed, 4),
               b = matrix(k, n, DType::float32, b_transposed, 5);
  return {make_node(gemm_op(),
                    {input_like(w), input_like(alpha), input_like(a), input_like(b), input_like(beta)}, {})
              ->output(),
          {w, alpha, a, b, beta},
          1e-4,
          1e-3};
}

void check_interpreted(const GpuCase& c, int multiprocessors) {
  GpuRun run(c, multiprocessors);
  for (const LoweredKernel& kernel : run.code.kernels) interpret(kernel.kernel, run.buffers(kernel).data());
  run.check(c);
}

}  // namespace

TEST_CASE("which products are thin, and how they are computed", "[codegen][cuda][thin]") {
  using Form = ThinProduct::Form;
  const auto form = [](std::int64_t m, std::int64_t n, std::int64_t k, ProductWalk a, ProductWalk b) {
    const auto thin = thin_product(m, n, k, a, b);
    return thin ? std::optional(std::pair(thin->form, thin->is_transposed)) : std::nullopt;
  };
  // H W, X' D and H' D of a network with 1000 units between 2 inputs and 2 outputs, 5000 points.
  CHECK(form(5000, 2, 1000, {1000, 1}, {2, 1}) == std::pair(Form::dots, false));
  CHECK(form(2, 1000, 5000, {1, 2}, {1000, 1}) == std::pair(Form::sums, false));
  CHECK(form(1000, 2, 5000, {1, 1000}, {2, 1}) == std::pair(Form::sums, true));
  CHECK(form(2, 5000, 1000, {1, 2}, {1, 1000}) == std::pair(Form::dots, true));
  CHECK_FALSE(form(5000, 20, 1000, {1000, 1}, {20, 1}));
  CHECK_FALSE(form(5000, 2, 10, {10, 1}, {2, 1}));
}

TEST_CASE("thin products for a GPU, interpreted", "[codegen][cuda][thin]") {
  std::mt19937 random(41);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  for (int i = 0; i < random_cases(60); ++i) {
    const std::int64_t thin = pick(1, 17), other = pick(1, 90),
                       k = random() % 4 == 0 ? pick(1, 70) : pick(64, 700);
    const bool is_thin_m = random() % 2 == 0;
    const DType dtype = random() % 4 == 0   ? DType::float64
                        : random() % 4 == 0 ? DType::bfloat16
                                            : DType::float32;
    check_interpreted(product(is_thin_m ? thin : other, is_thin_m ? other : thin, k, dtype, random() % 2 == 0,
                              random() % 2 == 0, static_cast<unsigned>(i)),
                      random() % 2 == 0 ? 1 : 132);
  }
  check_interpreted(product(3, 40, 4096, DType::float32, false, false, 7), 132);
  check_interpreted(product(3, 4, 5000, DType::float32, false, false, 8), 132);  // in chunks
  check_interpreted(product(200, 5, 64, DType::float32, false, false, 9), 1);    // several rows a group
  check_interpreted(step(2, 70, 300, true, false), 1);
  check_interpreted(step(70, 2, 300, true, false), 1);
  check_interpreted(step(70, 2, 300, false, false), 132);
}

TEST_CASE("thin products for a GPU, as CUDA code", "[codegen][cuda][thin]") {
  if (!has_host_compiler()) return;
  const std::vector<GpuCase> cases{
      product(50, 2, 300, DType::float32, false, false, 1),
      product(2, 70, 300, DType::float32, true, false, 2),
      product(70, 3, 331, DType::float32, true, false, 3),
      product(5, 33, 256, DType::float64, false, true, 4),
      product(300, 5, 64, DType::float32, false, false, 5),
      product(4, 3, 4099, DType::float32, false, false, 6),
      product(1, 64, 640, DType::bfloat16, true, false, 7),
      step(2, 70, 300, true, false),
      step(70, 2, 300, true, false),
      step(70, 1, 300, false, true),
  };
  for (const int multiprocessors : {1, 132}) {
    std::vector<GpuRun> runs;
    std::vector<Kernel> kernels;
    for (const GpuCase& c : cases) {
      runs.emplace_back(c, multiprocessors);
      for (const LoweredKernel& kernel : runs.back().code.kernels) kernels.push_back(kernel.kernel);
    }
    const CudaOnHost code(kernels, multiprocessors);
    std::size_t next = 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      for (const LoweredKernel& kernel : runs[i].code.kernels)
        code.run(next++, runs[i].buffers(kernel).data());
      runs[i].check(cases[i]);
    }
  }
}
