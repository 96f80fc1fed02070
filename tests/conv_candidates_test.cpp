// Every registered implementation against sums in float64, within the error that it states, on random
// problems of every option.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>

#include "concrete_conv.h"
#include "croton/croton.h"
#include "croton/graph/flags.h"
#include "croton/graph/npy.h"
#include "croton/optimizer/conv_candidate.h"
#include "random_cases.h"

using namespace croton;
using namespace croton::test;

namespace {

/// The largest difference, relative to the largest result; where there are few results the largest of them
/// may be small by chance, then to two standard deviations of a sum of so many terms.
double relative_error(const ConvProblem& p, const Tensor& result, const Tensor& expected) {
  const Tensor got = result.astype(DType::float64).contiguous();
  REQUIRE(got.shape() == expected.shape());
  double largest = 2 * std::sqrt(static_cast<double>(conv_terms(p))) / 3, difference = 0;
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected.data<double>()[i]));
    const double d = std::abs(got.data<double>()[i] - expected.data<double>()[i]);
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
  }
  return difference == 0 ? 0 : difference / largest;
}

/// What one candidate did in one direction.
struct Tally {
  int problems = 0, failures = 0;
  double worst = 0;  // error, in units of what is stated
};
using Tallies = std::map<std::pair<std::string, ConvDirection>, Tally>;

int problems_of(const Tallies& tallies, std::string_view candidate) {
  int sum = 0;
  for (const auto& [key, tally] : tallies) sum += key.first == candidate ? tally.problems : 0;
  return sum;
}

/// Which candidates computed the problem.
void check_all(ConcreteConvCase c, std::mt19937& random, Tallies& tallies) {
  // What supports a problem and how well it rounds depends on where it is computed.
  if (config().device() != "cpu") c.problem.device = Device::cuda(0);
  c.first = uniform_tensor(c.first.shape(), c.problem.dtype, random);
  c.second = uniform_tensor(c.second.shape(), c.problem.dtype, random);
  ConvProblem wide = c.problem;
  wide.dtype = DType::float64;
  const Tensor expected =
      conv_reference(wide, c.first.astype(DType::float64), c.second.astype(DType::float64));
  // The reference adds up in float64 one after the other itself, and at times errs by twice what is usual.
  const double of_reference = c.problem.dtype == DType::float64 ? 2 * sequential_error(c.problem) : 0;
  for (const ConvCandidate* candidate : conv_candidates()) {
    const bool is_elsewhere = candidate->place == ConvPlace::gpu && c.problem.device.is_host();
    if (is_elsewhere || candidate->support(c.problem).kind == Support::Kind::refuse) continue;
    INFO(candidate->name << ": " << to_string(c.problem));
    Tally& tally = tallies[{std::string(candidate->name), c.problem.direction}];
    ++tally.problems;
    const Variable a = tensor(c.problem.dtype, c.first.shape()),
                   b = tensor(c.problem.dtype, c.second.shape());
    const Variable y = candidate->build(c.problem, a, b, c.attributes);
    REQUIRE(y.type().shape.is_known());
    // An algorithm of cuDNN is refused by the library where its documentation does not say so.
    const bool is_algorithm = candidate->name.starts_with("dnn_");
    Tensor result;
    try {
      result = function({a, b}, y, {.on_unused_input = OnUnusedInput::ignore})(c.first, c.second);
    } catch (const DeviceError&) {
      --tally.problems;
      if (is_algorithm) continue;
      throw;
    }
    CHECK(result.dtype() == c.problem.dtype);
    // In units of what is stated, so that a failure shows by how much.
    const double error =
        relative_error(c.problem, result, expected) / (candidate->error(c.problem) + of_reference);
    CHECK(error <= 1);
    tally.failures += !(error <= 1);
    tally.worst = std::max(tally.worst, error);
  }
}

int number_from_environment(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// The problem, its operands and what the reference makes of them, for tests/conv_agreement.py.
void save_problem(const std::string& folder, int number, ConcreteConvCase c, std::mt19937& random) {
  c.problem.dtype = DType::float64;
  c.first = uniform_tensor(c.first.shape(), DType::float64, random);
  c.second = uniform_tensor(c.second.shape(), DType::float64, random);
  const std::string path = folder + "/" + std::to_string(number);
  save_npy(path + ".first.npy", c.first);
  save_npy(path + ".second.npy", c.second);
  save_npy(path + ".result.npy", conv_reference(c.problem, c.first, c.second));
  std::ofstream(path + ".txt") << to_string(c.problem) << "\n";
}

DType random_floating(std::mt19937& random) {
  constexpr DType rare[] = {DType::float64, DType::float16, DType::bfloat16};
  return random() % 5 == 0 ? rare[random() % 3] : DType::float32;
}

}  // namespace

TEST_CASE("every implementation of convolutions stays within the error that it states",
          "[runtime][conv][candidates]") {
  std::mt19937 random(70);
  Tallies counts;
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
  for (const ConvCandidate* candidate : conv_candidates()) {
    INFO(candidate->name);
    const bool is_of_this_place = candidate->place == ConvPlace::anywhere || config().device() != "cpu";
    // cuDNN's algorithms are what dnn is made of.
    const bool is_algorithm = candidate->name.starts_with("dnn_");
    if (candidate->tag != "conv3d2d" && is_of_this_place && !is_algorithm)
      CHECK(problems_of(counts, candidate->name) > 0);
  }
}

// By hand, as long as one likes: CROTON_CONV_PROBLEMS problems (1000), or as many of them as
// CROTON_CONV_SECONDS (3600) allow, from CROTON_CONV_SEED on (1). Every tenth goes to the folder
// CROTON_CONV_FOLDER, where there is one, for tests/conv_agreement.py. Prints a row for each candidate and
// direction: problems, how many were wrong, the largest error in units of what is stated.
TEST_CASE("many random problems of convolutions", "[.][conv_problems]") {
  std::mt19937 random(static_cast<unsigned>(number_from_environment("CROTON_CONV_SEED", 1)));
  const std::chrono::seconds most(number_from_environment("CROTON_CONV_SECONDS", 3600));
  const char* const folder = std::getenv("CROTON_CONV_FOLDER");
  const int problems = number_from_environment("CROTON_CONV_PROBLEMS", 1000);
  const auto begin = std::chrono::steady_clock::now();
  Tallies tallies;
  int done = 0;
  for (; done < problems && std::chrono::steady_clock::now() - begin < most; ++done) {
    const int rank = random() % 6 == 0 ? 3 : random() % 8 == 0 ? 1 : 2;
    const DType dtype = random_floating(random);
    const ConcreteConvCase c = random_concrete_conv(random, dtype, rank);
    CHECK_NOTHROW(check_all(c, random, tallies));
    if (folder != nullptr && done % 10 == 0) save_problem(folder, done, c, random);
  }
  std::printf("problems %d\n", done);
  for (const auto& [key, tally] : tallies) {
    std::printf("%s %s %d %d %.3f\n", key.first.c_str(), to_string(key.second).c_str(), tally.problems,
                tally.failures, tally.worst);
  }
}
