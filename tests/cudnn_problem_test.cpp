#include "croton/ops/cudnn_problem.h"

#include <catch2/catch.hpp>

#include "concrete_conv.h"
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_dnn.h"

using namespace croton;
using namespace croton::test;

TEST_CASE("a convolution in cuDNN's numbers", "[runtime][cuda][conv]") {
  const auto c = concrete_conv(ConvDirection::forward, {8, 6, 9, 10}, {4, 3, 3, 3}, /*pad=*/1, /*stride=*/2,
                               /*dilation=*/2, /*groups=*/2);
  std::string reason;
  const auto p = cudnn_problem(c.problem, reason);
  REQUIRE(p);
  CHECK(p->image == std::vector<int>{8, 6, 9, 10});
  CHECK(p->filters == std::vector<int>{4, 3, 3, 3});
  CHECK(p->output == std::vector<int>{8, 4, 4, 4});
  CHECK(p->pad == std::vector<int>{1, 1});
  CHECK(p->stride == std::vector<int>{2, 2});
  CHECK(p->dilation == std::vector<int>{2, 2});
  CHECK(p->groups == 2);
  CHECK(p->flip);
  CHECK(packed_strides(p->image) == std::vector<int>{540, 90, 10, 1});
}

TEST_CASE("one spatial axis gets another of extent 1", "[runtime][cuda][conv]") {
  ConvProblem problem;
  problem.rank = 1;
  problem.batch = 2;
  problem.channels = 3;
  problem.filters = 4;
  problem.image = {7};
  problem.kernel = {3};
  problem.out = {5};
  problem.pad_lo = problem.pad_hi = {0};
  problem.stride = problem.dilation = {1};
  std::string reason;
  const auto p = cudnn_problem(problem, reason);
  REQUIRE(p);
  CHECK(p->image == std::vector<int>{2, 3, 1, 7});
  CHECK(p->filters == std::vector<int>{4, 3, 1, 3});
  CHECK(p->output == std::vector<int>{2, 4, 1, 5});
  CHECK(p->pad == std::vector<int>{0, 0});
}

TEST_CASE("what cuDNN cannot compute is refused with the reason", "[runtime][cuda][conv]") {
  std::string reason;
  ConvProblem p = concrete_conv(ConvDirection::forward, {2, 3, 8, 8}, {4, 3, 4, 4}).problem;
  p.pad_lo = {1, 1};
  p.pad_hi = {2, 2};
  p.out = {8, 8};
  CHECK_FALSE(cudnn_problem(p, reason));
  CHECK(reason == "padding of 1 in front of an axis and 2 behind it; cuDNN pads both alike");
  CHECK_FALSE(
      cudnn_problem(concrete_conv(ConvDirection::forward, {0, 3, 8, 8}, {4, 3, 4, 4}).problem, reason));
  CHECK(reason == "an operand has no elements");
  p = concrete_conv(ConvDirection::forward, {1, 1, 5, 5}, {1, 1, 1, 1}).problem;
  p.image = p.out = {50000, 50000};
  CHECK_FALSE(cudnn_problem(p, reason));
  CHECK_THAT(reason, Catch::Contains("cuDNN counts to 2^31"));
}

TEST_CASE("a padding that the last window does not reach fits cuDNN", "[runtime][cuda][conv]") {
  ConvProblem p = concrete_conv(ConvDirection::forward, {2, 3, 8, 8}, {4, 3, 3, 3}, 1, 2).problem;
  REQUIRE(p.out == Shape{4, 4});
  p.pad_hi = {0, 0};
  std::string reason;
  CHECK(cudnn_problem(p, reason));
}

TEST_CASE("libraries of CUDA are there or say why not", "[runtime][cuda]") {
  const cublaslt::Library& blas = cublaslt::library();
  INFO(blas.path << " " << blas.problem);
  CHECK(blas.problem.empty() == !blas.version.empty());
  if (blas.problem.empty()) CHECK(blas.multiply != nullptr);
  const cudnn::Library& dnn = cudnn::library();
  INFO(dnn.path << " " << dnn.problem);
  CHECK(dnn.problem.empty() == !dnn.version.empty());
  if (dnn.problem.empty()) CHECK(dnn.forward != nullptr);
}
