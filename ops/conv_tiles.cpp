#include "croton/ops/conv_tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "croton/graph/error.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

/// What is cut into tiles: the result, or the output gradient.
const Shape& tiled_extents(const ConvProblem& p) {
  return p.direction == ConvDirection::backward_inputs ? p.image : p.out;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t reach(const ConvProblem& p, std::size_t axis) {
  return p.dilated_kernel(static_cast<int>(axis));
}

/// What both ask for.
std::string refusal(const ConvProblem& p, const char* name) {
  if (p.rank != 2) return fmt::format("{} spatial axes; {} has 2", p.rank, name);
  if (p.stride != Shape{1, 1})
    return fmt::format("subsample is {}; {} needs 1 everywhere", to_string(p.stride), name);
  if (p.batch == 0 || p.channels == 0 || p.filters == 0 || p.out.count() == 0 || p.image.count() == 0 ||
      p.kernel.count() == 0) {
    return "an operand has no elements";
  }
  return {};
}

}  // namespace

std::string winograd_refusal(const ConvProblem& p) {
  std::string reason = refusal(p, "winograd");
  if (reason.empty() && p.kernel != Shape{3, 3})
    reason = fmt::format("filters of {}; winograd has 3 x 3", to_string(p.kernel));
  return reason;
}

std::string fourier_refusal(const ConvProblem& p) {
  std::string reason = refusal(p, "fft");
  if (reason.empty() && p.version == "no_fft") reason = "version='no_fft'";
  for (std::size_t axis = 0; axis < 2 && reason.empty(); ++axis) {
    if (reach(p, axis) > fourier_sides.back())
      reason = fmt::format("filters that cover {}; the longest transform has {}", reach(p, axis),
                           fourier_sides.back());
  }
  return reason;
}

ConvTiles winograd_tiles(const ConvProblem& p, std::int64_t m) {
  ConvTiles t;
  t.kind = ConvTiles::Kind::winograd;
  t.batch = p.batch;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    t.step[axis] = m;
    t.side[axis] = m + 2;
    t.spacing[axis] = p.dilation[axis];
    t.tiles[axis] = p.dilation[axis] * ceil_div(ceil_div(tiled_extents(p)[axis], p.dilation[axis]), m);
  }
  return t;
}

ConvTiles fourier_tiles(const ConvProblem& p, const ConvTiles::Pair& side) {
  ConvTiles t;
  t.kind = ConvTiles::Kind::fourier;
  t.batch = p.batch;
  t.side = side;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    t.step[axis] = side[axis] - reach(p, axis) + 1;
    if (t.step[axis] < 1) throw ValueError("a Fourier transform shorter than the filter: " + to_string(p));
    t.spread[axis] = p.dilation[axis];
    t.tiles[axis] = ceil_div(tiled_extents(p)[axis], t.step[axis]);
  }
  return t;
}

std::optional<ConvTiles> whole_image_tiles(const ConvProblem& p) {
  ConvTiles::Pair side{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t samples = tiled_extents(p)[axis] + reach(p, axis) - 1;
    const auto found = std::ranges::lower_bound(fourier_sides, samples);
    if (found == fourier_sides.end()) return std::nullopt;
    side[axis] = *found;
  }
  return fourier_tiles(p, side);
}

std::optional<ConvTiles> cheapest_fourier_tiles(const ConvProblem& p) {
  std::optional<ConvTiles> best;
  double least = INFINITY;
  for (const std::int64_t rows : fourier_sides) {
    if (rows < reach(p, 0)) continue;
    for (const std::int64_t columns : fourier_sides) {
      if (columns < reach(p, 1)) continue;
      const ConvTiles tiles = fourier_tiles(p, {rows, columns});
      const double work = operations(tiles, p);
      if (work >= least) continue;
      least = work;
      best = tiles;
    }
  }
  return best;
}

double operations(const ConvTiles& t, const ConvProblem& p) {
  const auto tiles = static_cast<double>(t.count());
  const double channels = static_cast<double>(p.channels), filters = static_cast<double>(p.filters);
  const double pairs = channels / static_cast<double>(p.groups) * filters;
  const double samples = static_cast<double>(t.side[0] * t.side[1]);
  // Of a real transform of n samples: about 2 n log2(n); a Winograd tile is a product with small matrices.
  const double a_transform = t.is_complex() ? 2 * samples * std::log2(samples)
                                            : 2 * samples * static_cast<double>(t.side[0] + t.side[1]);
  const double products = tiles * pairs * static_cast<double>(t.frequencies()) * (t.is_complex() ? 8 : 2);
  return products + a_transform * (tiles * (channels + filters) + pairs);
}

bool has_stages_of_all_tiles(const ConvTiles& t, const ConvProblem& p) {
  constexpr std::int64_t most_of_filters = 2;
  return t.count() * (p.channels + p.filters) <= most_of_filters * (p.channels / p.groups * p.filters);
}

double transformed_bytes(const ConvTiles& t, const ConvProblem& p, int threads) {
  const auto bytes =
      static_cast<double>(size_of(p.dtype == DType::float64 ? DType::float64 : DType::float32));
  const double plane_of_pairs = static_cast<double>(p.channels / p.groups) * static_cast<double>(p.filters);
  double tiles = static_cast<double>(t.count());
  if (!p.device.is_cuda() && p.direction != ConvDirection::backward_weights && !has_stages_of_all_tiles(t, p))
    tiles = std::min(tiles, static_cast<double>(threads) * static_cast<double>(tiles_at_once(p.dtype)));
  return bytes * static_cast<double>(t.planes()) *
         (plane_of_pairs + tiles * static_cast<double>(p.channels + p.filters));
}

ConvTiles conv_tiles(const Node& node) {
  const ConvProblem p = concrete_conv_problem(node);
  const auto tile = node.attributes().get<std::vector<std::int64_t>>("tile");
  const bool is_winograd = &node.op() == &winograd_conv_op();
  const auto is_known = [&](std::int64_t n) {
    return is_winograd ? n == 2 || n == 4 : std::ranges::find(fourier_sides, n) != fourier_sides.end();
  };
  if (tile.size() != 2 || !is_known(tile[0]) || !is_known(tile[1]) || (is_winograd && tile[0] != tile[1])) {
    throw ValueError(
        fmt::format("{} has no code for tile={}; {}", node.op().name(), to_string(Shape(tile)),
                    is_winograd ? "there are (2, 2) and (4, 4)" : "its entries are 4, 8, 16, 32 or 64"));
  }
  return is_winograd ? winograd_tiles(p, tile[0]) : fourier_tiles(p, {tile[0], tile[1]});
}

std::int64_t tiles_at_once(DType dtype) { return dtype == DType::float64 ? 32 : 64; }

}  // namespace croton
