// Contractions for a GPU, without one: their maps by plain loops against the reference convolution, their
// CUDA code compiled for the host against the same, and through NVRTC.

#include "croton/codegen/cuda_contraction.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <random>

#include "concrete_conv.h"
#include "croton/codegen/cuda_nvrtc.h"
#include "croton/codegen/cuda_prelude.h"
#include "croton/codegen/lower_product.h"
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
                  const std::string& name, const std::optional<ContractionTile>& tile = {},
                  bool folds = false, const GpuTraits& gpu = {.multiprocessors = 4})
      : conv(std::move(c)) {
    CudaContraction made =
        (folds ? folded_contraction_of(conv.problem, arithmetic) : contraction_of(conv.problem, arithmetic))
            .value();
    cut_contraction(made, gpu, variant);
    if (splits > 0) made.splits = splits;
    if (tile) {
      made.tile = *tile;
      made.tile.patch = tile->patch > 0 ? patch_of_tile(made, *tile) : 0;
    }
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
      return plain_sum_error(p);
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

TEST_CASE("contractions whose warps multiply together", "[codegen][cuda][contraction]") {
  constexpr ContractionTile tiles[] = {{4, 1, 1, 3, 16, 3, true},
                                       {4, 1, 1, 2, 32, 3, true},
                                       {8, 1, 1, 1, 32, 4, true},
                                       {8, 1, 1, 5, 16, 2, true}};
  std::mt19937 random(67);
  std::vector<ContractionCase> cases;
  int number = 0;
  for (const Arithmetic arithmetic :
       {Arithmetic::tf32x3, Arithmetic::tf32, Arithmetic::bf16, Arithmetic::fp16, Arithmetic::fp16x3}) {
    for (const ConvDirection d :
         {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
      const ContractionTile& tile = tiles[static_cast<std::size_t>(number) % std::size(tiles)];
      cases.emplace_back(uniform_case(random, concrete_conv(d, {2, 17, 6, 7}, {20, 17, 3, 3}, 1)), arithmetic,
                         0, number % 2 + 1, "case" + std::to_string(number), tile);
      ++number;
    }
    cases.emplace_back(uniform_case(random, random_concrete_conv(random, DType::float32)), arithmetic, 0, 1,
                       "case" + std::to_string(number), tiles[static_cast<std::size_t>(number) % 4]);
    ++number;
  }
  check_on_host(cases);
}

TEST_CASE("contractions that keep a part of the images for all taps", "[codegen][cuda][contraction]") {
  std::mt19937 random(68);
  std::vector<ContractionCase> cases;
  const auto add = [&](ConcreteConvCase c, Arithmetic arithmetic, const ContractionTile& tile,
                       std::int64_t splits = 1) {
    cases.emplace_back(uniform_case(random, std::move(c)), arithmetic, 0, splits,
                       "case" + std::to_string(cases.size()), tile);
    CHECK(cases.back().kernel.contraction->tile.patch > 0);
  };
  constexpr ContractionTile small{4, 1, 1, 2, 16, 3, true, 1}, large{8, 1, 1, 3, 32, 3, true, 1},
      wide{8, 1, 1, 1, 16, 2, true, 1};
  for (const ConvDirection d : {ConvDirection::forward, ConvDirection::backward_inputs}) {
    // Every channel at once, several images a tile, tiles that begin within lines.
    add(concrete_conv(d, {5, 5, 7, 8}, {12, 5, 3, 3}), Arithmetic::tf32x3, small);
    add(concrete_conv(d, {2, 3, 13, 14}, {20, 3, 5, 5}, 2), Arithmetic::fp16x3, large, 2);
    add(concrete_conv(d, {2, 6, 9, 12}, {8, 3, 3, 3}, 1, 1, 2, 2), Arithmetic::tf32, wide);
    add(concrete_conv(d, {2, 4, 11, 9}, {8, 4, 3, 3}, 1, 2), Arithmetic::tf32x3, small);
    // So many positions that only the channels of two tiles fit.
    add(concrete_conv(d, {1, 60, 20, 40}, {60, 60, 3, 3}, 1), Arithmetic::tf32x3, small, 3);
    add(concrete_conv(d, {1, 64, 24, 40}, {70, 64, 3, 3}, 1, 1, 3), Arithmetic::bf16, large);
  }
  for (int i = 0; i < random_cases(12); ++i) {
    ConcreteConvCase c = random_concrete_conv(random, DType::float32);
    if (c.problem.direction == ConvDirection::backward_weights) continue;
    cases.emplace_back(uniform_case(random, std::move(c)), Arithmetic::tf32x3, 0, 1,
                       "random" + std::to_string(i), i % 2 == 0 ? small : wide);
  }
  check_on_host(cases);
}

TEST_CASE("contractions that are folded compute the inputs' gradients", "[codegen][cuda][contraction]") {
  std::mt19937 random(69);
  std::vector<ContractionCase> cases;
  const auto add = [&](ConcreteConvCase c, Arithmetic arithmetic,
                       const std::optional<ContractionTile>& tile = {}) {
    cases.emplace_back(uniform_case(random, std::move(c)), arithmetic, 0, 0,
                       "folded" + std::to_string(cases.size()), tile, true);
  };
  constexpr ConvDirection d = ConvDirection::backward_inputs;
  constexpr ContractionTile groups{8, 1, 1, 4, 32, 3, true};
  add(concrete_conv(d, {2, 3, 12, 13}, {24, 3, 3, 3}, 2, 1, 2), Arithmetic::tf32x3, groups);
  add(concrete_conv(d, {2, 3, 21, 17}, {9, 3, 5, 5}, 2, 4), Arithmetic::tf32x3);
  add(concrete_conv(d, {1, 6, 14, 15}, {20, 3, 3, 2}, 1, 4, 6, 2), Arithmetic::fp16x3);
  add(concrete_conv(d, {1, 2, 14, 15}, {20, 2, 4, 3}, 0, 6, 4), Arithmetic::tf32, groups);
  add(concrete_conv(d, {2, 3, 8, 9}, {20, 3, 3, 3}, 1, 1, 2, 1, true, DType::float16), Arithmetic::fp16);
  add(concrete_conv(d, {2, 3, 8, 9}, {20, 3, 3, 3}, 1, 2, 1, 1, false, DType::float64), Arithmetic::fp64);
  while (cases.size() < static_cast<std::size_t>(random_cases(24))) {
    const Arithmetic arithmetic = arithmetics[cases.size() % std::size(arithmetics)];
    ConcreteConvCase c =
        random_concrete_conv(random, dtype_for(arithmetic), static_cast<int>(cases.size() % 3) + 1);
    if (c.problem.direction == d) add(std::move(c), arithmetic);
  }
  for (ContractionCase& c : cases) {
    INFO(to_string(c.conv.problem));
    evaluate_contraction(*c.kernel.contraction, c.buffers().data());
    CHECK(c.error() < 1e-6 + (size_of(c.conv.problem.dtype) == 2 ? 2e-3 : 0));
  }
  check_on_host(cases);
}

TEST_CASE("blocks that fold what they multiply compute the inputs' gradients",
          "[codegen][cuda][contraction]") {
  std::mt19937 random(70);
  std::vector<ContractionCase> cases;
  int in_shares = 0, of_images = 0;
  const auto add = [&](ConcreteConvCase c, Arithmetic arithmetic) {
    ContractionCase made(uniform_case(random, std::move(c)), arithmetic, 0, 0,
                         "blocks" + std::to_string(cases.size()), {}, true,
                         {.multiprocessors = 1, .architecture = 90});
    if (!made.kernel.contraction->fold.is_in_blocks()) return;
    const ContractionFold::Blocks& blocks = made.kernel.contraction->fold.blocks;
    (blocks.images > 1 ? of_images : in_shares) += blocks.shares > 1;
    cases.push_back(std::move(made));
  };
  constexpr ConvDirection d = ConvDirection::backward_inputs;
  add(concrete_conv(d, {1, 3, 61, 57}, {40, 3, 11, 11}, 2, 4), Arithmetic::tf32x3);
  add(concrete_conv(d, {1, 3, 31, 150}, {20, 3, 5, 5}, 2), Arithmetic::fp16x3);  // parts of a line
  add(concrete_conv(d, {1, 8, 40, 9}, {17, 8, 3, 3}, 0, 5), Arithmetic::tf32);   // lines that nothing reaches
  add(concrete_conv(d, {1, 5, 30, 35}, {9, 5, 4, 5}, 1, 9), Arithmetic::tf32);
  add(concrete_conv(d, {2, 8, 18, 9}, {20, 8, 3, 3}, 1, 1, 2, 1, true, DType::float16), Arithmetic::fp16);
  CHECK(cases.size() == 5);
  const auto pick = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(high - low + 1));
  };
  for (int i = 0;
       cases.size() < static_cast<std::size_t>(random_cases(30)) || std::min(in_shares, of_images) < 3; ++i) {
    REQUIRE(i < 2000);
    const int rank = i % 3 + 1;
    const std::int64_t groups = pick(1, 2), channels = pick(2, 8), stride = pick(1, 4), dilation = pick(1, 2);
    Shape image{pick(1, 5), groups * channels}, filters{groups * pick(1, 40), channels};
    for (int axis = 0; axis < rank; ++axis) {
      filters.push_back(rank == 1 ? pick(9, 20) : rank == 2 ? pick(3, 6) : pick(2, 4));
      image.push_back((filters.back() - 1) * dilation + pick(1, rank == 1 ? 200 : rank == 2 ? 30 : 8));
    }
    const Arithmetic arithmetic = arithmetics[static_cast<std::size_t>(i) % std::size(arithmetics)];
    add(concrete_conv(d, image, filters, pick(0, 3), stride, dilation, groups, pick(0, 1) == 0,
                      dtype_for(arithmetic)),
        arithmetic);
  }
  for (ContractionCase& c : cases) {
    INFO(to_string(c.conv.problem));
    evaluate_contraction(*c.kernel.contraction, c.buffers().data());
    CHECK(c.error() < 1e-6 + (size_of(c.conv.problem.dtype) == 2 ? 2e-3 : 0));
    c.result = Tensor::full({c.result.size()}, 77.0, c.conv.problem.dtype);
  }
  check_on_host(cases);
}

TEST_CASE("convolutions of one and of three axes as contractions", "[codegen][cuda][contraction]") {
  std::mt19937 random(65);
  std::vector<ContractionCase> cases;
  const auto add = [&](ConvDirection direction, const Shape& image, const Shape& filters, std::int64_t pad,
                       std::int64_t stride, Arithmetic arithmetic) {
    cases.emplace_back(uniform_case(random, concrete_conv(direction, image, filters, pad, stride)),
                       arithmetic, 0, 1, "case" + std::to_string(cases.size()));
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

namespace {

/// A product of random matrices of random layouts, with random factors and an addend that may be the result.
struct ProductCase {
  Product product;
  Kernel kernel;
  Tensor a, b, z, result, factors = Tensor::full({2}, 0.5), tiles = Tensor::empty({4}), partial;
  bool is_in_place = false;

  ProductCase(std::mt19937& random, Arithmetic arithmetic, int variant) {
    const auto upto = [&](unsigned most) { return static_cast<std::int64_t>(random() % most + 1); };
    const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
      const std::int64_t gap = random() % 3 == 0 ? upto(5) : 0;
      return random() % 2 == 0 ? ProductWalk{1, rows + gap} : ProductWalk{columns + gap, 1};
    };
    const auto values = [&](std::int64_t rows, std::int64_t columns, ProductWalk walk) {
      return uniform_tensor({rows * columns + (rows + columns) * 6 + walk.row + walk.column}, DType::float32,
                            random);
    };
    Product& p = product;
    p.m = variant % 2 == 0 ? 4 * upto(40) : upto(150);
    p.n = variant % 2 == 0 ? 4 * upto(40) : upto(150);
    p.k = variant % 3 == 0 ? 16 * upto(9) : upto(150);
    p.a_walk = matrix(p.m, p.k);
    p.b_walk = matrix(p.k, p.n);
    p.c_walk = matrix(p.m, p.n);
    if (random() % 2 == 0) {
      p.z = 2;
      is_in_place = random() % 2 == 0;
      p.z_walk = is_in_place ? p.c_walk : matrix(p.m, p.n);
      if (random() % 2 == 0) p.alpha = 3;
      if (random() % 2 == 0) p.beta = 4;
    }
    a = values(p.m, p.k, p.a_walk);
    b = values(p.k, p.n, p.b_walk);
    z = values(p.m, p.n, p.z_walk);
    result = is_in_place ? z.copy() : values(p.m, p.n, p.c_walk);
    factors.data<float>()[1] = -2;
    CudaContraction c = contraction_of(p, arithmetic).value();
    cut_contraction(c, {.multiprocessors = 4}, variant);
    if (random() % 2 == 0) c.splits = upto(3);
    partial = Tensor::full({c.partial_bytes() / 4 + 4}, 1e9);
    kernel.name = "product";
    kernel.contraction = std::make_shared<const CudaContraction>(std::move(c));
    kernel.buffers.resize(buffers().size());
  }
  std::vector<void*> buffers() {
    const bool is_turned = kernel.contraction->gathered_input == product.a;
    std::vector<void*> all{is_turned ? a.raw_data() : b.raw_data(), is_turned ? b.raw_data() : a.raw_data(),
                           result.raw_data(), tiles.raw_data(), partial.raw_data()};
    if (product.z >= 0) all.push_back(is_in_place ? result.raw_data() : z.raw_data());
    if (product.alpha >= 0) all.push_back(factors.raw_data());
    if (product.beta >= 0) all.push_back(factors.data<float>() + 1);
    return all;
  }
  /// The largest difference from sums in float64.
  double error() const {
    const auto at = [](const Tensor& t, ProductWalk walk, std::int64_t i, std::int64_t j) {
      return static_cast<double>(t.data<float>()[i * walk.row + j * walk.column]);
    };
    const Product& p = product;
    double difference = 0;
    for (std::int64_t i = 0; i < p.m; ++i) {
      for (std::int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.k; ++k) sum += at(a, p.a_walk, i, k) * at(b, p.b_walk, k, j);
        if (p.alpha >= 0) sum *= 0.5;
        if (p.z >= 0) sum += (p.beta >= 0 ? -2 : 1) * at(z, p.z_walk, i, j);
        const double d = std::abs(sum - at(result, p.c_walk, i, j));
        difference = std::isnan(d) ? INFINITY : std::max(difference, d);
      }
    }
    return difference;
  }
};

}  // namespace

TEST_CASE("products of matrices as contractions", "[codegen][cuda][contraction]") {
  if (!has_host_compiler()) return;
  std::mt19937 random(66);
  std::vector<ProductCase> cases;
  std::vector<Kernel> kernels;
  for (int i = 0; i < 16; ++i) {
    cases.emplace_back(random, i % 4 == 3 ? Arithmetic::tf32 : Arithmetic::tf32x3, i % 8);
    kernels.push_back(cases.back().kernel);
  }
  const CudaOnHost code(kernels, 4);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO("product " << i << "\n" << code.source(i).text);
    // Twice: the counters of blocks are as before.
    for (int run = 0; run < (cases[i].is_in_place ? 1 : 2); ++run) code.run(i, cases[i].buffers().data());
    CHECK(cases[i].error() < (i % 4 == 3 ? 1e-2 : 2e-5));
    if (cases[i].is_in_place) continue;
    evaluate_contraction(*cases[i].kernel.contraction, cases[i].buffers().data());
    CHECK(cases[i].error() < 2e-5);
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
      const ContractionCase c(concrete_conv(ConvDirection::backward_inputs, {4, 5, 17, 16}, {40, 5, 4, 5}, 1,
                                            2, 1, 1, true, dtype_for(arithmetic)),
                              arithmetic, 0, 0, "c" + std::to_string(number++), {}, true,
                              {.multiprocessors = 4, .architecture = architecture});
      const bool can_fold = architecture == 90 && c.kernel.contraction->is_tensor_core();
      CHECK(c.kernel.contraction->fold.is_in_blocks() == can_fold);
      text += emit_contraction(*c.kernel.contraction, c.kernel.name).text;
    }
    CHECK_FALSE(compile_cuda_source(text, "contractions.cu", architecture).empty());
  }
}
