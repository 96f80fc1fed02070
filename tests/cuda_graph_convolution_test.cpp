// Convolutions by cuDNN's graphs without a GPU: the fake driver and a fake cuDNN on host memory. These cases
// are hidden; ctest runs them with both (CUDA_HOME and CUDA_PATH lead to them).
#include <catch2/catch.hpp>
#include <random>

#include "concrete_conv.h"
#include "croton/croton.h"
#include "croton/graph/flags.h"
#include "croton/optimizer/conv_candidate.h"
#include "fake_device.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;
using Catch::Matchers::Contains;

namespace {

/// The function of one candidate for a problem, on shared operands, whose value is right at each call.
Function checked(const ConvCandidate& candidate, const ConcreteConvCase& c) {
  const SharedVariable first = shared(c.first, "first", {.shape = c.first.shape()}),
                       second = shared(c.second, "second", {.shape = c.second.shape()});
  const Function f = function({}, candidate.build(c.problem, first, second, c.attributes));
  for (int call = 0; call < 4; ++call) check_conv(c, f()[0]);
  return f;
}

}  // namespace

TEST_CASE("cuDNN's graphs compute random convolutions in both layouts", "[.fake_dnn][runtime][cuda]") {
  const OnFakeDevice fake;
  std::mt19937 random(31);
  int computed = 0;
  for (int i = 0; i < random_cases(40) || computed <= 5; ++i) {
    REQUIRE(i < 400);
    ConcreteConvCase c = random_concrete_conv(random, DType::float32, 1 + i % 3);
    c.problem.device = Device::cuda(0);
    if (conv_dnn_graph.support(c.problem).kind == Support::Kind::refuse) continue;
    INFO(to_string(c.problem));
    ++computed;
    for (const ConvCandidate* candidate : {&conv_dnn_graph, &conv_dnn_b01c}) {
      CHECK_THAT(checked(*candidate, c).plan_text(), Contains("cuDNN graph, engine 5 of heuristic a"));
    }
  }
}

TEST_CASE("engines of cuDNN's graphs are taken as far as flags allow", "[.fake_dnn][runtime][cuda]") {
  const OnFakeDevice fake;
  const auto engine = [](std::int64_t filters) {
    return checked(conv_dnn_graph, concrete_conv(ConvDirection::forward, {2, 4, 9, 9}, {filters, 4, 3, 3}))
        .plan_text();
  };
  CHECK_THAT(engine(5), Contains("engine 5 of heuristic a"));
  {
    const ConfigScope scope({{"precision", "tf32"}});
    CHECK_THAT(engine(5), Contains("engine 0 of heuristic a"));
  }
  {
    const ConfigScope scope({{"deterministic", "true"}});
    CHECK_THAT(engine(6), Contains("engine 5 of heuristic a"));
  }
}

TEST_CASE("what is large cuDNN writes where it lies, what is misaligned is copied",
          "[.fake_dnn][runtime][cuda]") {
  const OnFakeDevice fake;
  const ConcreteConvCase c =
      concrete_conv(ConvDirection::forward, {4, 1, 130, 130}, {1, 1, 3, 3}, 1, 1, 1, 1, false);
  const Function large = checked(conv_dnn_graph, c);
  CHECK_THAT(large.plan_text(), !Contains("copy"));
  // A window that begins behind an odd number of elements.
  std::mt19937 random(32);
  const Tensor values = uniform_tensor({5, 1, 7, 5}, DType::float32, random);
  const SharedVariable images = shared(values, "images", {.shape = values.shape()});
  const ConcreteConvCase part =
      concrete_conv(ConvDirection::forward, {4, 1, 7, 5}, {2, 1, 3, 3}, 0, 1, 1, 1, false);
  const SharedVariable filters = shared(part.second, "filters", {.shape = part.second.shape()});
  const Function f =
      function({}, conv_dnn_graph.build(part.problem, images(slice(1, 5)), filters, part.attributes));
  ConcreteConvCase expected = part;
  expected.first = values.slice(0, 1, 5).contiguous();
  for (int call = 0; call < 4; ++call) check_conv(expected, f()[0]);
}
