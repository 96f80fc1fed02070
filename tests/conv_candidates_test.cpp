// Every registered implementation against sums in float64, within the error that it states, on random
// problems of every option.

#include <catch2/catch.hpp>
#include <random>

#include "conv_check.h"
#include "croton/graph/flags.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

int problems_of(const ConvTallies& tallies, std::string_view candidate) {
  int sum = 0;
  for (const auto& [key, tally] : tallies) sum += key.first == candidate ? tally.problems : 0;
  return sum;
}

void check_all(const ConcreteConvCase& c, std::mt19937& random, ConvTallies& tallies) {
  ConvCheck check(c, random);
  check.compute_expected();
  check.compile_candidates();
  check.run(tallies);
}

}  // namespace

TEST_CASE("every implementation of convolutions stays within the error that it states",
          "[runtime][conv][candidates]") {
  std::mt19937 random(70);
  ConvTallies counts;
  for (int i = 0; i < random_cases(60); ++i) check_all(random_concrete_conv(random), random, counts);
  for (const DType dtype : {DType::float64, DType::float16, DType::bfloat16}) {
    for (int i = 0; i < random_cases(8); ++i) check_all(random_concrete_conv(random, dtype), random, counts);
  }
  // What is made for some problems only.
  for (const ConvDirection direction :
       {ConvDirection::forward, ConvDirection::backward_inputs, ConvDirection::backward_weights}) {
    check_all(concrete_conv(direction, {3, 40, 12, 13}, {36, 40, 1, 1}), random, counts);
    check_all(concrete_conv(direction, {2, 40, 5, 4}, {20, 40, 1, 1}), random, counts);
    check_all(concrete_conv(direction, {3, 20, 14, 13}, {17, 20, 3, 3}, 1), random, counts);
  }
  // On a GPU blocks fold where there are many images: one image a block, and several.
  constexpr ConvDirection of_inputs = ConvDirection::backward_inputs;
  check_all(concrete_conv(of_inputs, {150, 3, 22, 19}, {33, 3, 5, 6}, 2, 2), random, counts);
  check_all(concrete_conv(of_inputs, {300, 8, 9, 10}, {20, 4, 5, 5}, 1, 1, 1, 2), random, counts);
  check_all(concrete_conv(of_inputs, {120, 3, 40, 9}, {18, 3, 11, 5}, 3, 3, 1, 1, false), random, counts);
  for (const ConvCandidate* candidate : conv_candidates()) {
    INFO(candidate->name);
    const bool is_of_this_place = candidate->place == ConvPlace::anywhere || config().device() != "cpu";
    // cuDNN's algorithms are what dnn is made of.
    const bool is_algorithm = candidate->name.starts_with("dnn_");
    if (candidate->tag != "conv3d2d" && is_of_this_place && !is_algorithm)
      CHECK(problems_of(counts, candidate->name) > 0);
  }
}
