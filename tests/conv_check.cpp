#include "conv_check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "croton/croton.h"
#include "croton/graph/flags.h"

namespace croton::test {

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

}  // namespace

ConvCheck::ConvCheck(ConcreteConvCase c, std::mt19937& random, bool measures) : c_(std::move(c)) {
  // What supports a problem and how well it rounds depends on where it is computed.
  if (config().device() != "cpu") c_.problem.device = Device::cuda(0);
  c_.first = uniform_tensor(c_.first.shape(), c_.problem.dtype, random);
  c_.second = uniform_tensor(c_.second.shape(), c_.problem.dtype, random);
  for (const ConvCandidate* candidate : conv_candidates()) {
    const bool is_elsewhere = candidate->place == ConvPlace::gpu && c_.problem.device.is_host();
    const bool is_measured =
        candidate == &conv_dnn || candidate == &conv_dnn_graph || candidate == &conv_dnn_b01c;
    if (is_measured && c_.problem.device.is_cuda() && !measures) continue;
    if (!is_elsewhere && candidate->support(c_.problem).kind != Support::Kind::refuse)
      entrants_.push_back({candidate, {}, nullptr});
  }
}

void ConvCheck::leave_out(const ConvTallies& tallies, int enough) {
  std::erase_if(entrants_, [&](const Entrant& entrant) {
    const auto tally = tallies.find({std::string(entrant.candidate->name), c_.problem.direction});
    return tally != tallies.end() && tally->second.problems >= enough;
  });
}

void ConvCheck::compute_expected() {
  if (entrants_.empty()) return;

  ConvProblem wide = c_.problem;
  wide.dtype = DType::float64;
  expected_ = conv_reference(wide, c_.first.astype(DType::float64), c_.second.astype(DType::float64));
}

bool ConvCheck::is_library(const ConvCandidate& candidate) const {
  return c_.problem.device.is_cuda() && candidate.tag == conv_dnn.tag;
}

Function ConvCheck::function_of(const ConvCandidate& candidate) const {
  const Variable a = tensor(c_.problem.dtype, c_.first.shape()),
                 b = tensor(c_.problem.dtype, c_.second.shape());
  const Variable y = candidate.build(c_.problem, a, b, c_.attributes);
  if (!y.type().shape.is_known()) throw std::logic_error("the shape of the result is not known");
  // What candidates are made of is generated, too: so compiling needs no library.
  return function({a, b}, y,
                  {.mode = default_mode().excluding("conv_dnn"), .on_unused_input = OnUnusedInput::ignore});
}

void ConvCheck::compile_candidates() {
  for (Entrant& entrant : entrants_) {
    if (is_library(*entrant.candidate)) continue;
    try {
      entrant.function = function_of(*entrant.candidate);
    } catch (...) {
      entrant.error = std::current_exception();
    }
  }
}

void ConvCheck::run(ConvTallies& tallies) {
  // The reference adds up in float64 one after the other itself, and at times errs by twice what is usual.
  const double of_reference = c_.problem.dtype == DType::float64 ? plain_sum_error(c_.problem) : 0;
  for (Entrant& entrant : entrants_) {
    const ConvCandidate& candidate = *entrant.candidate;
    INFO(candidate.name << ": " << to_string(c_.problem));
    if (entrant.error != nullptr) std::rethrow_exception(entrant.error);
    Tensor result;
    try {
      if (!entrant.function) entrant.function = function_of(candidate);
      result = entrant.function(c_.first, c_.second);
    } catch (const DeviceError&) {
      // An algorithm of cuDNN is refused by the library where its documentation does not say so.
      if (candidate.name.starts_with("dnn_")) continue;
      throw;
    }
    entrant.function = {};
    CHECK(result.dtype() == c_.problem.dtype);
    // In units of what is stated, so that a failure shows by how much.
    const double error =
        relative_error(c_.problem, result, expected_) / (candidate.error(c_.problem) + of_reference);
    CHECK(error <= 1);
    ConvTally& tally = tallies[{std::string(candidate.name), c_.problem.direction}];
    ++tally.problems;
    tally.failures += !(error <= 1);
    tally.worst = std::max(tally.worst, error);
  }
}

}  // namespace croton::test
