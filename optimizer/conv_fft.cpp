#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "croton/ops/conv_implementations.h"
#include "croton/ops/conv_tiles.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// Measured on Zen 4, two threads, against oneDNN's direct convolution: 0.2 to 0.85 of its time where the
// transforms take four to thirteen times less arithmetic, 0.7 to 1.1 where 2 to 2.6 times less (32 to 256
// channels, filters of 3 x 3 to 9 x 9, in all directions).
constexpr std::int64_t least_favoured_channels_of_fft = 32;
constexpr double least_favoured_saving = 3.5;

using ChooseTiles = std::optional<ConvTiles> (*)(const ConvProblem& problem);

template <ChooseTiles choose>
std::size_t fft_workspace(const ConvProblem& p) {
  const auto threads = static_cast<int>(std::thread::hardware_concurrency());
  return static_cast<std::size_t>(transformed_bytes(*choose(p), p, threads));
}

/// Every stage of the transforms rounds once, and sums are made of short partial sums.
template <ChooseTiles choose>
double fft_error(const ConvProblem& p) {
  const ConvTiles tiles = *choose(p);
  const double stages = std::log2(static_cast<double>(tiles.side[0] * tiles.side[1]));
  return arithmetic_roundoff(p.dtype) * (4 + 0.8 * stages) + storage_roundoff(p.dtype);
}

template <ChooseTiles choose>
std::string fft_favoured(const ConvProblem& p) {
  if (p.device.is_cuda() || p.dtype != DType::float32) return {};
  if (std::min(p.channels, p.filters) / p.groups < least_favoured_channels_of_fft) return {};
  const double saving = p.flops() / operations(*choose(p), p);
  if (saving < least_favoured_saving) return {};
  return fmt::format("and takes {:.1f} times less arithmetic than direct sums", saving);
}

template <ChooseTiles choose>
Variable build_fft(const ConvProblem& p, const Variable& first, const Variable& second,
                   const Attributes& attributes) {
  const ConvTiles tiles = *choose(p);
  return apply_concrete_conv(
      fft_conv_op(), p, first, second,
      attributes.with("tile", std::vector<std::int64_t>{tiles.side[0], tiles.side[1]}));
}

}  // namespace

/// Products of spectra, the whole image at once.
const ConvCandidate conv_fft = {
    .name = "fft",
    .tag = "conv_fft",
    .costly = true,
    .opt_in = true,
    .favoured = fft_favoured<whole_image_tiles>,
    .support = [](const ConvProblem& p) -> Support {
      std::string reason = fourier_refusal(p);
      if (!reason.empty()) return refuse(std::move(reason));
      const std::optional<ConvTiles> whole = whole_image_tiles(p);
      if (!whole) {
        return refuse(fmt::format("the image and its padding exceed the longest transform of {}",
                                  fourier_sides.back()));
      }
      if (const auto tiled = cheapest_fourier_tiles(p); tiled->side != whole->side) {
        return poor(fmt::format("whole images take {:.1f} times the arithmetic of tiles of {} x {}",
                                operations(*whole, p) / operations(*tiled, p), tiled->side[0],
                                tiled->side[1]));
      }
      return accept();
    },
    .workspace = fft_workspace<whole_image_tiles>,
    .error = fft_error<whole_image_tiles>,
    .build = build_fft<whole_image_tiles>,
};

/// The same by overlapping tiles of the image (overlap-save).
const ConvCandidate conv_fft_tiling = {
    .name = "fft_tiling",
    .tag = "conv_fft",
    .costly = true,
    .opt_in = true,
    .favoured = fft_favoured<cheapest_fourier_tiles>,
    .support = [](const ConvProblem& p) -> Support {
      std::string reason = fourier_refusal(p);
      if (!reason.empty()) return refuse(std::move(reason));
      const std::optional<ConvTiles> whole = whole_image_tiles(p);
      if (whole && whole->side == cheapest_fourier_tiles(p)->side)
        return refuse("one tile takes the whole image: that is fft");
      return accept();
    },
    .workspace = fft_workspace<cheapest_fourier_tiles>,
    .error = fft_error<cheapest_fourier_tiles>,
    .build = build_fft<cheapest_fourier_tiles>,
};

}  // namespace croton
