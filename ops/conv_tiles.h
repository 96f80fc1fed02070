#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "croton/ops/conv_problem.h"

namespace croton {

/// How a two-dimensional convolution of stride 1 is computed in a transformed domain. The result (of
/// backward_weights: the output gradient) is cut into tiles of `step` elements; each comes from `side`
/// samples of the source. Transformed, a tile is planes() numbers, and a convolution is a sum over channels
/// of products, number by number.
///
/// winograd: the minimal filtering F(m x m, 3 x 3) of Winograd (1980) and Lavin and Gray (2015), side = m
/// + 2. fourier: real discrete Fourier transforms of `side` samples, a power of two.
struct CROTON_API ConvTiles {
  enum class Kind : std::uint8_t { winograd, fourier };
  using Pair = std::array<std::int64_t, 2>;  // rows, columns

  Kind kind = Kind::winograd;
  Pair side{};         // samples of the source in a tile
  Pair step{};         // elements of the result in a tile
  Pair spacing{1, 1};  // between neighbouring samples, and elements of the result: a dilated filter's steps
  Pair spread{1, 1};   // samples between the taps of the filter
  Pair tiles{};        // tiles along each axis
  std::int64_t batch = 0;

  std::int64_t count() const { return batch * tiles[0] * tiles[1]; }
  bool is_complex() const { return kind == Kind::fourier; }
  int components() const { return is_complex() ? 2 : 1; }
  /// Frequencies along an axis: of real samples one half says everything.
  std::int64_t spectrum(std::size_t axis) const {
    return is_complex() && axis == 1 ? side[1] / 2 + 1 : side[axis];
  }
  std::int64_t frequencies() const { return spectrum(0) * spectrum(1); }
  std::int64_t planes() const { return frequencies() * components(); }
};

/// Why a problem cannot be computed so; empty when it can.
CROTON_API std::string winograd_refusal(const ConvProblem& problem);
CROTON_API std::string fourier_refusal(const ConvProblem& problem);

/// F(m x m, 3 x 3) for m = 2 or 4.
CROTON_API ConvTiles winograd_tiles(const ConvProblem& problem, std::int64_t m);
/// With transforms of that many samples along each axis; the filter must fit.
CROTON_API ConvTiles fourier_tiles(const ConvProblem& problem, const ConvTiles::Pair& side);

/// The transform lengths that there is code for.
inline constexpr std::array<std::int64_t, 5> fourier_sides = {4, 8, 16, 32, 64};
/// The shortest transforms that take the whole image (and its padding) as one tile; nothing where it is
/// larger than they are.
CROTON_API std::optional<ConvTiles> whole_image_tiles(const ConvProblem& problem);
/// Those that need the least arithmetic; nothing where the filter is larger than they are.
CROTON_API std::optional<ConvTiles> cheapest_fourier_tiles(const ConvProblem& problem);

/// Additions and multiplications, transforms included.
CROTON_API double operations(const ConvTiles& tiles, const ConvProblem& problem);
/// Bytes that the transformed operands take when `threads` threads of a CPU, or a GPU, work on them.
CROTON_API double transformed_bytes(const ConvTiles& tiles, const ConvProblem& problem, int threads);

/// Whether a CPU takes all tiles of a forward or backward_inputs problem through each stage at once, and
/// shares out the products by frequencies: where the transformed filters take as much memory as the tiles,
/// they had better be read only once. Elsewhere a thread takes some tiles through all stages.
CROTON_API bool has_stages_of_all_tiles(const ConvTiles& tiles, const ConvProblem& problem);

/// The tiles of a winograd_conv or fft_conv node, by its attribute `tile`: the m of a winograd one, the sides
/// of a Fourier one.
CROTON_API ConvTiles conv_tiles(const Node& node);

/// Tiles of the result that a thread of a CPU works on at once: four vectors of them.
CROTON_API std::int64_t tiles_at_once(DType dtype);

}  // namespace croton
