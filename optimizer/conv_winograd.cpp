#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "croton/ops/conv_implementations.h"
#include "croton/ops/conv_tiles.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// Measured on Zen 5, two threads, against oneDNN's direct convolution: 0.53, 0.54 and 0.41 of its time
// (forward, inputs, weights) for 128 channels, 56 x 56, batch 4; 0.65, 0.73, 0.37 for 256, 28 x 28, batch 4;
// 0.72, 1.05, 0.33 for 384, 13 x 13, batch 16.
constexpr std::int64_t least_winograd_channels = 64;

Support winograd_support(const ConvProblem& p) {
  std::string reason = winograd_refusal(p);
  return reason.empty() ? accept() : refuse(std::move(reason));
}

template <std::int64_t m>
std::size_t winograd_workspace(const ConvProblem& p) {
  const auto threads = static_cast<int>(std::thread::hardware_concurrency());
  return static_cast<std::size_t>(transformed_bytes(winograd_tiles(p, m), p, threads));
}

/// Sums are made of partial sums of 32 terms, so that the errors of the transforms prevail: their factors
/// grow with m. The largest of thousands of random problems took 8 and 44 roundings; the gradient of the
/// filters sums over more.
template <std::int64_t m>
double winograd_error(const ConvProblem& p) {
  const std::int64_t in_a_tile = p.direction == ConvDirection::backward_weights ? m * m : 9;
  const double parts = static_cast<double>(conv_terms(p)) / static_cast<double>(32 * in_a_tile);
  return arithmetic_roundoff(p.dtype) * ((m == 2 ? 8 : 44) + 0.5 * std::sqrt(parts)) +
         storage_roundoff(p.dtype);
}

template <std::int64_t m>
Variable build_winograd(const ConvProblem& p, const Variable& first, const Variable& second,
                        const Attributes& attributes) {
  return apply_concrete_conv(winograd_conv_op(), p, first, second,
                             attributes.with("tile", std::vector<std::int64_t>{m, m}));
}

}  // namespace

/// F(2 x 2, 3 x 3): 16 multiplications instead of 36.
const ConvCandidate conv_winograd = {
    .name = "winograd",
    .tag = "conv_winograd",
    .costly = true,
    .opt_in = true,
    .support = winograd_support,
    .workspace = winograd_workspace<2>,
    .error = winograd_error<2>,
    .build = build_winograd<2>,
};

/// F(4 x 4, 3 x 3): 36 instead of 144, rounded less well.
const ConvCandidate conv_winograd_4x4 = {
    .name = "winograd_4x4",
    .tag = "conv_winograd",
    .costly = true,
    .opt_in = true,
    .favoured = [](const ConvProblem& p) -> std::string {
      const std::int64_t least = std::min(p.channels, p.filters) / p.groups;
      if (p.device.is_cuda() || p.dtype != DType::float32 || least < least_winograd_channels) return {};
      return fmt::format("and is faster than oneDNN from {} channels and filters on",
                         least_winograd_channels);
    },
    .support = winograd_support,
    .workspace = winograd_workspace<4>,
    .error = winograd_error<4>,
    .build = build_winograd<4>,
};

}  // namespace croton
