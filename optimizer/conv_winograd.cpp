#include <cmath>
#include <thread>

#include "croton/ops/conv_implementations.h"
#include "croton/ops/conv_tiles.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

Support winograd_support(const ConvProblem& p) {
  std::string reason = winograd_refusal(p);
  return reason.empty() ? accept() : refuse(std::move(reason));
}

template <std::int64_t m>
std::size_t winograd_workspace(const ConvProblem& p) {
  const auto threads = static_cast<int>(std::thread::hardware_concurrency());
  return static_cast<std::size_t>(transformed_bytes(winograd_tiles(p, m), p, threads));
}

/// Sums are made of short partial sums; the rest is the transforms', whose factors grow with m.
template <std::int64_t m>
double winograd_error(const ConvProblem& p) {
  const double sums = 1 + 0.1 * std::sqrt(static_cast<double>(conv_terms(p)) / 9);
  return arithmetic_roundoff(p.dtype) * (m == 2 ? 4 : 24) * sums + storage_roundoff(p.dtype);
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
    .support = winograd_support,
    .workspace = winograd_workspace<4>,
    .error = winograd_error<4>,
    .build = build_winograd<4>,
};

}  // namespace croton
