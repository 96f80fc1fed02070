// Contractions for a GPU, without one: their maps by plain loops against the reference convolution, their
// CUDA code compiled for the host against the same, and through NVRTC.

#include "croton/codegen/cuda_contraction.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "concrete_conv.h"
#include "croton/codegen/cuda_nvrtc.h"
#include "croton/codegen/cuda_prelude.h"
#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"
#include "cuda_host.h"
#include "gpu_cases.h"
#include "places.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

using Arithmetic = ContractionArithmetic;

struct ContractionCase {
  ConcreteConvCase conv;
  Kernel kernel;
  Tensor result, packed, partial;

  ContractionCase(ConcreteConvCase c, Arithmetic arithmetic, int variant, std::int64_t splits,
                  const std::string& name)
      : conv(std::move(c)) {
    CudaContraction made = contraction_of(conv.problem, arithmetic).value();
    cut_contraction(made, 4, variant);
    if (splits > 0) made.splits = splits;
    result = Tensor::full({made.result_count}, 77.0, conv.problem.dtype);
    packed = Tensor::full({made.packed_bytes() / 4 + 4}, 1e9, DType::int32);
    partial = Tensor::full({made.partial_bytes() / 4 + 4}, 1e9, DType::int32);
    kernel.name = name;
    kernel.buffers.resize(5);
    kernel.contraction = std::make_shared<const CudaContraction>(std::move(made));
  }
  std::vector<void*> buffers() {
    const bool is_turned = kernel.contraction->gathered_input == 1;
    Tensor& gathered = is_turned ? conv.second : conv.first;
    Tensor& other = is_turned ? conv.first : conv.second;
    return {gathered.raw_data(), other.raw_data(), result.raw_data(), packed.raw_data(), partial.raw_data()};
  }
  /// The largest difference from the reference, relative to its largest result.
  double error() const {
    ConvProblem wide = conv.problem;
    wide.dtype = DType::float64;
    const Tensor expected =
        conv_reference(wide, conv.first.astype(DType::float64), conv.second.astype(DType::float64));
    const Tensor got = result.astype(DType::float64);
    REQUIRE(got.size() == expected.size());
    double largest = 1, difference = 0;
    for (std::int64_t i = 0; i < got.size(); ++i) {
      largest = std::max(largest, std::abs(expected.data<double>()[i]));
      const double d = std::abs(got.data<double>()[i] - expected.data<double>()[i]);
      difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    }
    return difference / largest;
  }
};

ConcreteConvCase uniform_case(std::mt19937& random, ConcreteConvCase c) {
  c.first = uniform_tensor(c.first.shape(), c.problem.dtype, random);
  c.second = uniform_tensor(c.second.shape(), c.problem.dtype, random);
  return c;
}

/// Relative to the largest result, for factors between -1 and 1.
double bound_of(const ConvProblem& p, Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::tf32:
      return 1e-3;
    case Arithmetic::bf16:
      return 1e-2;
    case Arithmetic::fp16:
      return 2e-3;
    default:
      return 2 * sequential_error(p);
  }
}
DType dtype_for(Arithmetic arithmetic) {
  return arithmetic == Arithmetic::fp64 ? DType::float64 : DType::float32;
}

void check_on_host(std::vector<ContractionCase>& cases) {
  if (!has_host_compiler()) return;
  std::vector<Kernel> kernels;
  for (const ContractionCase& c : cases) kernels.push_back(c.kernel);
  const CudaOnHost code(kernels, 4);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const CudaContraction& c = *cases[i].kernel.contraction;
    INFO(to_string(cases[i].conv.problem) << "\n" << code.source(i).text);
    code.run(i, cases[i].buffers().data());
    CHECK(cases[i].error() < bound_of(cases[i].conv.problem, c.arithmetic));
  }
}

constexpr Arithmetic arithmetics[] = {Arithmetic::tf32x3, Arithmetic::fp32, Arithmetic::tf32,
                                      Arithmetic::fp16x3, Arithmetic::bf16, Arithmetic::fp16,
                                      Arithmetic::fp64};

}  // namespace

TEST_CASE("the maps of a contraction say what a convolution is", "[codegen][cuda][contraction]") {
  std::mt19937 random(61);
  for (int i = 0; i < random_cases(150); ++i) {
    ConcreteConvCase conv = uniform_case(random, random_concrete_conv(random, DType::float64));
    INFO(to_string(conv.problem));
    ContractionCase c(std::move(conv), Arithmetic::fp64, 0, 0, "maps");
    evaluate_contraction(*c.kernel.contraction, c.buffers().data());
    CHECK(c.error() < 1e-13);
  }
}

TEST_CASE("the code of contractions computes convolutions", "[codegen][cuda][contraction]") {
  std::mt19937 random(62);
  std::vector<ContractionCase> cases;
  for (int i = 0; i < random_cases(28); ++i) {
    const Arithmetic arithmetic = arithmetics[static_cast<std::size_t>(i) % std::size(arithmetics)];
    cases.emplace_back(uniform_case(random, random_concrete_conv(random, dtype_for(arithmetic))), arithmetic,
                       static_cast<int>(random() % 3), random() % 3 == 0 ? 3 : 1, "conv" + std::to_string(i));
  }
  check_on_host(cases);
}

TEST_CASE("contractions of many channels, wide copies and half floats", "[codegen][cuda][contraction]") {
  std::mt19937 random(63);
  std::vector<ContractionCase> cases;
  const auto add = [&](ConcreteConvCase c, Arithmetic arithmetic, int variant = 0, std::int64_t splits = 1) {
    cases.emplace_back(uniform_case(random, std::move(c)), arithmetic, variant, splits,
                       "case" + std::to_string(cases.size()));
  };
  for (const ConvDirection d :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    add(concrete_conv(d, {2, 16, 6, 7}, {32, 16, 3, 3}, 1), Arithmetic::tf32x3);
    add(concrete_conv(d, {2, 32, 4, 8}, {16, 32, 1, 1}), Arithmetic::tf32x3, 1, 2);
    add(concrete_conv(d, {1, 32, 4, 8}, {32, 32, 1, 1}), Arithmetic::fp16x3, 2);
    add(concrete_conv(d, {2, 32, 9, 9}, {32, 32, 3, 3}, 1, 2), Arithmetic::fp16x3, 0, 2);
    add(concrete_conv(d, {1, 3, 13, 14}, {8, 3, 5, 5}, 2, 4), Arithmetic::tf32);
    add(concrete_conv(d, {2, 64, 5, 5}, {8, 32, 7, 7}, 3, 1, 1, 2), Arithmetic::fp32);
    add(concrete_conv(d, {2, 3, 8, 9}, {20, 3, 3, 3}, 1, 1, 2, 1, true, DType::float16), Arithmetic::fp16);
    add(concrete_conv(d, {2, 16, 8, 9}, {20, 16, 3, 3}, 1, 2, 1, 1, false, DType::bfloat16),
        Arithmetic::bf16);
    add(concrete_conv(d, {2, 3, 8, 9}, {20, 3, 3, 3}, 1, 2, 1, 1, false, DType::float64), Arithmetic::fp64, 1,
        2);
  }
  check_on_host(cases);
}

TEST_CASE("convolutions of one and of three axes as contractions", "[codegen][cuda][contraction]") {
  std::mt19937 random(65);
  std::vector<ContractionCase> cases;
  const auto add = [&](ConvDirection direction, const Shape& image, const Shape& filters, std::int64_t pad,
                       std::int64_t stride, Arithmetic arithmetic) {
    const std::size_t rank = image.size() - 2;
    using Numbers = std::vector<std::int64_t>;
    ConcreteConvCase c;
    c.attributes = Attributes({{"border_mode", AttributeValue(Numbers(2 * rank, pad))},
                               {"subsample", AttributeValue(Numbers(rank, stride))},
                               {"dilation", AttributeValue(Numbers(rank, 1))},
                               {"num_groups", AttributeValue(std::int64_t{1})},
                               {"filter_flip", AttributeValue(true)}});
    c.problem = conv_problem(ConvDirection::forward, c.attributes, image, filters, {}, DType::float32);
    c.problem.direction = direction;
    const Shape out = c.problem.out_shape();
    c.first =
        uniform_tensor(direction == ConvDirection::backward_inputs ? filters : image, DType::float32, random);
    c.second = uniform_tensor(direction == ConvDirection::forward ? filters : out, DType::float32, random);
    cases.emplace_back(std::move(c), arithmetic, 0, 1, "case" + std::to_string(cases.size()));
  };
  for (const ConvDirection d :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    add(d, {3, 16, 50}, {24, 16, 5}, 2, 1, Arithmetic::tf32x3);
    add(d, {2, 5, 41}, {9, 5, 4}, 1, 3, Arithmetic::fp16x3);
    add(d, {2, 4, 5, 6, 7}, {8, 4, 3, 3, 3}, 1, 1, Arithmetic::tf32x3);
    add(d, {1, 3, 6, 5, 7}, {8, 3, 2, 3, 3}, 1, 2, Arithmetic::fp32);
  }
  for (ContractionCase& c : cases) {
    evaluate_contraction(*c.kernel.contraction, c.buffers().data());
    CHECK(c.error() < 1e-6);
  }
  check_on_host(cases);
}

TEST_CASE("products of matrices as contractions", "[codegen][cuda][contraction]") {
  if (!has_host_compiler()) return;
  std::mt19937 random(66);
  std::vector<Kernel> kernels;
  std::vector<MatrixProducts> products;
  for (int i = 0; i < 12; ++i) {
    MatrixProducts m;
    const auto upto = [&](unsigned most) { return static_cast<std::int64_t>(random() % most + 1); };
    m.count = upto(3);
    m.rows = upto(70);
    m.columns = i % 2 == 0 ? 4 * upto(40) : upto(150);
    m.depth = i % 3 == 0 ? 16 * upto(3) : upto(60);
    const bool is_a_turned = random() % 2 == 0, is_b_turned = random() % 2 == 0;
    m.a = {m.rows * m.depth, is_a_turned ? 1 : m.depth, is_a_turned ? m.rows : 1};
    m.b = {m.depth * m.columns, is_b_turned ? 1 : m.columns, is_b_turned ? m.depth : 1};
    CudaContraction c = contraction_of(m, i % 4 == 3 ? Arithmetic::fp16x3 : Arithmetic::tf32x3).value();
    cut_contraction(c, 4, i % 3);
    Kernel kernel;
    kernel.name = "product" + std::to_string(i);
    kernel.buffers.resize(5);
    kernel.contraction = std::make_shared<const CudaContraction>(std::move(c));
    kernels.push_back(std::move(kernel));
    products.push_back(m);
  }
  const CudaOnHost code(kernels, 4);
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const MatrixProducts& m = products[i];
    const CudaContraction& c = *kernels[i].contraction;
    Tensor a = uniform_tensor({c.packed_count}, DType::float32, random);
    Tensor b = uniform_tensor({c.gathered_count}, DType::float32, random);
    Tensor result = Tensor::full({c.result_count}, 77.0, DType::float32);
    Tensor packed = Tensor::full({c.packed_bytes() / 4}, 1e9, DType::int32);
    Tensor partial = Tensor::full({c.partial_bytes() / 4 + 4}, 1e9, DType::int32);
    void* const buffers[] = {b.raw_data(), a.raw_data(), result.raw_data(), packed.raw_data(),
                             partial.raw_data()};
    code.run(i, buffers);
    double difference = 0;
    for (std::int64_t at = 0; at < c.result_count; ++at) {
      const std::int64_t n = at % m.columns, row = at / m.columns % m.rows, batch = at / m.columns / m.rows;
      double sum = 0;
      for (std::int64_t k = 0; k < m.depth; ++k) {
        sum += static_cast<double>(a.data<float>()[batch * m.a[0] + row * m.a[1] + k * m.a[2]]) *
               static_cast<double>(b.data<float>()[batch * m.b[0] + k * m.b[1] + n * m.b[2]]);
      }
      difference = std::max(difference, std::abs(sum - static_cast<double>(result.data<float>()[at])));
    }
    INFO("product " << i);
    CHECK(difference < 1e-5);
  }
}

TEST_CASE("contractions compile for every architecture", "[codegen][cuda][contraction][nvrtc]") {
  if (!nvrtc_info().is_available) {
    WARN("not tested: " << nvrtc_info().reason);
    return;
  }
  std::mt19937 random(64);
  int number = 0;
  for (const int architecture : {80, 90, 100}) {
    std::string text = std::string(cuda_device_prelude()) + std::string(cuda_prelude()) +
                       std::string(contraction_device_prelude()) + std::string(contraction_prelude());
    for (const Arithmetic arithmetic : arithmetics) {
      for (const ConvDirection d :
           {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
        const ContractionCase c(
            concrete_conv(d, {4, 32, 17, 16}, {64, 32, 3, 3}, 1, 2, 1, 1, true, dtype_for(arithmetic)),
            arithmetic, architecture / 10 - 8, 2, "c" + std::to_string(number++));
        text += emit_contraction(*c.kernel.contraction, c.kernel.name).text;
      }
    }
    CHECK_FALSE(compile_cuda_source(text, "contractions.cu", architecture).empty());
  }
}
