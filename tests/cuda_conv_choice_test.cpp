#include <unistd.h>

#include <catch2/catch.hpp>
#include <limits>
#include <string>
#include <vector>

#include "croton/runtime/cuda_conv_choice.h"

using namespace croton;

namespace {

const std::vector<CudnnAlgorithm> candidates = {
    {1, 3, 0, true}, {7, 3, 4096, false}, {6, 3, 512, true}, {0, 3, 0, false}};

std::optional<CudnnAlgorithm> fastest(const std::vector<std::optional<double>>& seconds) {
  return fastest_conv_algorithm(candidates, [&](const CudnnAlgorithm& a, double) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i] == a) return seconds[i];
    }
    return std::optional<double>();
  });
}

}  // namespace

TEST_CASE("the fastest algorithm is taken, a deterministic one where it is hardly slower",
          "[runtime][cuda][convolution]") {
  CHECK(fastest({3.0, 2.0, 4.0, 2.5})->algorithm == 7);
  CHECK(fastest({3.0, 2.0, 2.1, 2.5})->algorithm == 6);
  CHECK(fastest({1.0, 2.0, 2.1, 2.5})->algorithm == 1);
  CHECK(fastest({std::nullopt, std::nullopt, std::nullopt, 9.0})->algorithm == 0);
  CHECK_FALSE(fastest({std::nullopt, std::nullopt, std::nullopt, std::nullopt}).has_value());
}

TEST_CASE("what is far slower than the best so far need not be measured again",
          "[runtime][cuda][convolution]") {
  std::vector<double> limits;
  fastest_conv_algorithm(candidates, [&](const CudnnAlgorithm&, double limit) {
    limits.push_back(limit);
    return std::optional(2.0 / static_cast<double>(limits.size()));
  });
  REQUIRE(limits.size() == 4);
  CHECK(limits[0] == std::numeric_limits<double>::infinity());
  CHECK(limits[1] == Approx(3));
  CHECK(limits[3] == Approx(1));
}

TEST_CASE("a choice is remembered by its problem", "[runtime][cuda][convolution]") {
  const std::string problem = "a problem of process " + std::to_string(getpid());
  const CudnnAlgorithm choice{5, 3, std::size_t{3} << 30, false};
  CHECK_FALSE(known_conv_algorithm(problem).has_value());
  remember_conv_algorithm(problem, choice);
  REQUIRE(known_conv_algorithm(problem).has_value());
  CHECK(*known_conv_algorithm(problem) == choice);
  CHECK_FALSE(known_conv_algorithm(problem + ", another").has_value());
}

TEST_CASE("workspace follows the size of the operands within bounds", "[runtime][cuda][convolution]") {
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  CHECK(most_conv_workspace(0) == 256 * mebibyte);
  CHECK(most_conv_workspace(100 * mebibyte) == 800 * mebibyte);
  CHECK(most_conv_workspace(100'000 * mebibyte) == 3072 * mebibyte);
}
