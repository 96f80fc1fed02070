// Convolutions in a transformed domain: Winograd's minimal filtering and products of spectra (ConvTiles).

#include <algorithm>
#include <functional>

#include "croton/codegen/correlation.h"
#include "croton/codegen/lower_context.h"
#include "croton/codegen/tile_products.h"
#include "croton/codegen/tile_transforms.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

// Planes that lie a power of two apart would share the sets of a cache.
constexpr std::int64_t margin = 16;

/// One axis: tile `a` begins at element first(a) of the result (of the output gradient), its samples at
/// source element first(a) + start.
struct TiledAxis {
  std::int64_t source = 0, result = 0;
  std::int64_t start = 0, spacing = 1, step = 1, tiles = 1;

  Index first(Index a) const { return mod(a, spacing) + floor_div(a, spacing) * Index(step * spacing); }
};

class TransformedConv {
 public:
  TransformedConv(const LowerContext& context, const ConvProblem& problem, const ConvTiles& tiles)
      : context_(context),
        p_(problem),
        t_(tiles),
        dtype_(compute_dtype(problem.dtype)),
        kernel_(context, tiles.is_complex() ? "fft_conv" : "winograd_conv"),
        b_(kernel_.builder()),
        transforms_(tiles, problem, b_, dtype_),
        products_(b_, tiles, dtype_),
        count_(tiles.count()) {}

  NodeCode lower() {
    if (p_.direction == ConvDirection::backward_weights) {
      lower_weights();
    } else {
      lower_correlation();
    }
    return kernel_.finish();
  }

 private:
  // --- tiles in space

  struct TileAt {
    Index image, row, column;  // the first element of the result
  };
  TileAt tile_at(Index p) {
    if (table_) {
      const auto entry = [&](std::int64_t part) {
        return b_.index_of(b_.load(*table_, Index(part * count_) + p));
      };
      return {entry(0), entry(1), entry(2)};
    }
    const std::vector<std::int64_t> extents{t_.batch, t_.tiles[0], t_.tiles[1]};
    const std::vector<Index> at = split_index(p, extents);
    return {at[0], axes_[0].first(at[1]), axes_[1].first(at[2])};
  }

  /// Where the tiles lie, in memory: lanes need not divide then.
  void write_table() {
    const Buffer table = kernel_.scratch(DType::int64, 3 * count_);
    b_.parallel("p", count_, [&](Index p) {
      const TileAt at = tile_at(p);
      std::int64_t part = 0;
      for (const Index value : {at.image, at.row, at.column})
        b_.store(table, Index(part++ * count_) + p, b_.value_of(value, DType::int64));
    });
    table_ = table;
  }

  /// Whether 0 <= at < extent; nothing where that is certain.
  std::optional<ScalarValue> within(Index at, std::int64_t extent) {
    std::optional<ScalarValue> is_inside;
    if (at.low() < 0) is_inside = b_.compare(ScalarOp::ge, at, 0);
    if (at.high() >= extent) {
      const ScalarValue below = b_.compare(ScalarOp::lt, at, extent);
      is_inside = is_inside ? b_.emit(ScalarOp::bit_and, *is_inside, below) : below;
    }
    return is_inside;
  }
  std::optional<ScalarValue> both(std::optional<ScalarValue> x, std::optional<ScalarValue> y) {
    if (!x || !y) return x ? x : y;
    return b_.emit(ScalarOp::bit_and, *x, *y);
  }

  Term load_masked(Buffer buffer, Index at, std::optional<ScalarValue> exists) {
    if (!exists) return b_.load(buffer, at);
    return b_.load(buffer, at, *exists, b_.constant(0, dtype_));
  }

  Term load_source(Buffer source, std::int64_t channels, Index channel, const TileAt& at, Index y, Index x) {
    const Index row = at.row + Index(axes_[0].start) + y * Index(axes_[0].spacing);
    const Index column = at.column + Index(axes_[1].start) + x * Index(axes_[1].spacing);
    const Index plane = at.image * Index(channels) + channel;
    return load_masked(source, (plane * Index(axes_[0].source) + row) * Index(axes_[1].source) + column,
                       both(within(row, axes_[0].source), within(column, axes_[1].source)));
  }

  Index result_index(std::int64_t channels, Index channel, const TileAt& at, Index y, Index x) const {
    const Index row = at.row + y * Index(axes_[0].spacing), column = at.column + x * Index(axes_[1].spacing);
    const Index plane = at.image * Index(channels) + channel;
    return (plane * Index(axes_[0].result) + row) * Index(axes_[1].result) + column;
  }
  std::optional<ScalarValue> in_result(const TileAt& at, Index y, Index x) {
    return both(within(at.row + y * Index(axes_[0].spacing), axes_[0].result),
                within(at.column + x * Index(axes_[1].spacing), axes_[1].result));
  }

  // --- memory of planes

  Planes planes(std::int64_t elements, std::int64_t copies = 1) {
    const std::int64_t pitch = elements + margin;
    return {kernel_.scratch(dtype_, pitch * t_.planes() * copies), pitch};
  }

  /// Tile p of a channel of the source.
  void transform_source(Buffer source, std::int64_t channels, Index channel, Index p, const Planes& to,
                        Index at) {
    const TileAt tile = tile_at(p);
    transforms_.analyse(
        TilePart::source,
        [&](Index y, std::int64_t x) { return load_source(source, channels, channel, tile, y, x); }, to, at);
  }

  // --- forward, and the gradient with respect to the inputs

  /// A correlation with its filters transformed: [frequency][result][source of its group].
  struct Operands {
    Correlation c;
    Buffer source, result;
    std::int64_t sources = 0, results = 0;  // channels of all groups
    Planes filters;
  };

  void lower_correlation() {
    Operands o;
    o.c = correlation_of(p_);
    o.sources = o.c.groups * o.c.sources;
    o.results = o.c.groups * o.c.results;
    std::array<bool, 2> is_reversed{};  // taps run against the source
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const CorrelationAxis& from = axis == 0 ? o.c.rows : o.c.columns;
      const AxisPhase& phase = from.phases.front();
      is_reversed[axis] = phase.offset_step < 0;
      axes_[axis] = {from.source,
                     from.result,
                     phase.offset + std::min<std::int64_t>(0, (phase.taps - 1) * phase.offset_step),
                     t_.spacing[axis],
                     t_.step[axis],
                     t_.tiles[axis]};
    }
    const bool is_forward = p_.direction == ConvDirection::forward;
    o.source = kernel_.input(is_forward ? 0 : 1);
    const Buffer weights = kernel_.input(is_forward ? 1 : 0);
    o.result = kernel_.output(0);
    o.filters = transform_filters(o.c, weights, is_reversed);
    if (context_.is_gpu()) {
      correlate_on_gpu(o);
      return;
    }
    write_table();
    if (has_stages_of_all_tiles(t_, p_)) {
      correlate_in_stages(o);
    } else {
      correlate_in_blocks(o);
    }
  }

  Planes transform_filters(const Correlation& c, Buffer weights, std::array<bool, 2> is_reversed) {
    const std::int64_t pairs = c.groups * c.results * c.sources;
    const Planes filters = planes(pairs);
    const std::vector<std::int64_t> pair_extents{c.groups, c.results, c.sources};
    b_.parallel(
        "w", pairs,
        [&](Index w) {
          const std::vector<Index> at = split_index(w, pair_extents);
          const Index base = Index(c.weights.base) + at[0] * Index(c.weights.group) +
                             at[1] * Index(c.weights.result) + at[2] * Index(c.weights.source);
          const auto tap = [&](std::size_t axis, Index i) {
            return is_reversed[axis] ? Index(p_.kernel[axis] - 1) - i : i;
          };
          transforms_.analyse(
              TilePart::filter,
              [&](Index y, std::int64_t x) -> Term {
                return b_.load(weights,
                               base + tap(0, y) * Index(c.weights.row) + tap(1, x) * Index(c.weights.column));
              },
              filters, w);
        },
        vectorize);
    return filters;
  }

  void store_result(const Operands& o, Index channel, Index p, const Planes& from, Index at) {
    const TileAt tile = tile_at(p);
    transforms_.synthesise(TilePart::result, from, at, [&](Index y, std::int64_t x, ScalarValue value) {
      const Index to = result_index(o.results, channel, tile, y, x);
      if (const auto exists = in_result(tile, y, x)) {
        b_.store(o.result, to, value, *exists);
      } else {
        b_.store(o.result, to, value);
      }
    });
  }

  /// Every stage is a phase over all tiles.
  void correlate_on_gpu(const Operands& o) {
    const Correlation& c = o.c;
    const Planes transformed = planes(o.sources * count_), sums = planes(o.results * count_);
    b_.parallel(
        "t", o.sources * count_,
        [&](Index t) {
          transform_source(o.source, o.sources, floor_div(t, count_), mod(t, count_), transformed, t);
        },
        vectorize);
    products_.multiply_on_gpu({o.filters, 0, c.sources, 1}, {transformed, 0, 0, count_}, {sums, 0, count_, 0},
                              {c.results * c.sources, c.sources * count_, c.results * count_}, c.results,
                              count_, c.sources, c.groups);
    b_.parallel(
        "t", o.results * count_,
        [&](Index t) { store_result(o, floor_div(t, count_), mod(t, count_), sums, t); }, vectorize);
  }

  /// Some tiles of a channel, as lanes.
  void transform_tiles(const Operands& o, Index channel, Index first, Index lanes, const Planes& to,
                       Index at) {
    b_.loop("p", 0, lanes, vectorize.by(1),
            [&](Index p) { transform_source(o.source, o.sources, channel, first + p, to, at + p); });
  }
  void store_tiles(const Operands& o, Index channel, Index first, Index lanes, const Planes& from, Index at) {
    b_.loop("p", 0, lanes, vectorize.by(1),
            [&](Index p) { store_result(o, channel, first + p, from, at + p); });
  }

  /// Transformed tiles or their sums, [frequency][channel][one of `width` tiles], from `base` on.
  struct Tiles {
    Planes planes;
    Index base;
    std::int64_t width = 0;

    Factor factor(Index channel, std::int64_t row, std::int64_t sum) const {
      return {planes, base + channel * Index(width), row, sum};
    }
  };
  void multiply_tiles(const Operands& o, Index frequency, Index group, const Tiles& transformed,
                      const Tiles& sums, Index lanes) {
    const std::int64_t width = transformed.width;
    products_.multiply({o.filters, group * Index(o.c.results * o.c.sources), o.c.sources, 1},
                       transformed.factor(group * Index(o.c.sources), 0, width),
                       sums.factor(group * Index(o.c.results), width, 0), frequency, o.c.results, lanes,
                       width, o.c.sources);
  }

  /// Every stage over all tiles: products are shared out by frequencies.
  void correlate_in_stages(const Operands& o) {
    const Tiles transformed{planes(o.sources * count_), 0, count_},
        sums{planes(o.results * count_), 0, count_};
    b_.parallel(
        "channel", o.sources,
        [&](Index channel) {
          transform_tiles(o, channel, 0, count_, transformed.planes, channel * Index(count_));
        },
        serial, 1);
    b_.parallel(
        "f", t_.frequencies() * o.c.groups,
        [&](Index f) {
          multiply_tiles(o, floor_div(f, o.c.groups), mod(f, o.c.groups), transformed, sums, count_);
        },
        serial, 1);
    b_.parallel(
        "channel", o.results,
        [&](Index channel) { store_tiles(o, channel, 0, count_, sums.planes, channel * Index(count_)); },
        serial, 1);
  }

  /// A task works on some tiles of all channels, in memory of its thread.
  void correlate_in_blocks(const Operands& o) {
    const std::int64_t width = tiles_of_a_task();
    const Planes transformed_planes = planes(o.sources * width, context_.threads);
    const Planes sums_planes = planes(o.results * width, context_.threads);
    b_.parallel(
        "block", (count_ + width - 1) / width,
        [&](Index block) {
          const Index begin = block * Index(width);
          const Index lanes = count_ % width == 0 ? Index(width) : min(Index(width), Index(count_) - begin);
          const auto of_worker = [&](const Planes& planes) {
            return Tiles{planes, b_.worker() * Index(planes.pitch * t_.planes()), width};
          };
          const Tiles transformed = of_worker(transformed_planes), sums = of_worker(sums_planes);
          b_.loop("channel", 0, o.sources, [&](Index channel) {
            transform_tiles(o, channel, begin, lanes, transformed.planes,
                            transformed.base + channel * Index(width));
          });
          b_.loop("f", 0, t_.frequencies(), [&](Index f) {
            b_.loop("group", 0, o.c.groups,
                    [&](Index group) { multiply_tiles(o, f, group, transformed, sums, lanes); });
          });
          b_.loop("channel", 0, o.results, [&](Index channel) {
            store_tiles(o, channel, begin, lanes, sums.planes, sums.base + channel * Index(width));
          });
        },
        serial, 1);
  }

  /// Whole vectors, as far as they are filled.
  std::int64_t tiles_of_a_task() const {
    const std::int64_t most = tiles_at_once(p_.dtype), vector = most / 4;
    const std::int64_t rounds = (count_ + most * context_.threads - 1) / (most * context_.threads);
    const std::int64_t blocks = std::min(count_, rounds * context_.threads);
    const std::int64_t even = (count_ + blocks - 1) / blocks;
    return even < vector ? even : (even + vector - 1) / vector * vector;
  }

  // --- the gradient with respect to the filters

  void lower_weights() {
    for (std::size_t axis = 0; axis < 2; ++axis) {
      axes_[axis] = {p_.image[axis],   p_.out[axis],  -p_.pad_lo[axis],
                     t_.spacing[axis], t_.step[axis], t_.tiles[axis]};
    }
    const Buffer image = kernel_.input(0), gradient = kernel_.input(1), result = kernel_.output(0);
    const std::int64_t channels = p_.channels / p_.groups, filters = p_.filters / p_.groups;
    // [frequency][tile][channel] and [frequency][tile][filter]: sums run over tiles.
    const Planes images = planes(count_ * p_.channels), gradients = planes(count_ * p_.filters);
    const Planes sums = planes(p_.filters * channels);
    const auto for_each = [&](std::int64_t lanes, const std::function<void(Index, Index, Index)>& body) {
      if (context_.is_gpu()) {
        b_.parallel(
            "t", count_ * lanes, [&](Index t) { body(floor_div(t, lanes), mod(t, lanes), t); }, vectorize);
        return;
      }
      b_.parallel("p", count_, [&](Index p) {
        b_.loop("channel", 0, lanes, vectorize.by(1),
                [&](Index channel) { body(p, channel, p * Index(lanes) + channel); });
      });
    };
    for_each(p_.channels, [&](Index p, Index channel, Index at) {
      transform_source(image, p_.channels, channel, p, images, at);
    });
    for_each(p_.filters, [&](Index p, Index channel, Index at) {
      const TileAt tile = tile_at(p);
      transforms_.analyse(
          TilePart::result,
          [&](Index y, std::int64_t x) -> Term {
            return load_masked(gradient, result_index(p_.filters, channel, tile, y, x),
                               in_result(tile, y, x));
          },
          gradients, at);
    });
    if (context_.is_gpu()) {
      products_.multiply_on_gpu({gradients, 0, 1, p_.filters}, {images, 0, 0, p_.channels},
                                {sums, 0, channels, 0}, {filters, channels, filters * channels}, filters,
                                channels, count_, p_.groups);
    } else {
      b_.parallel(
          "f", t_.frequencies(),
          [&](Index f) {
            b_.loop("group", 0, p_.groups, [&](Index group) {
              products_.multiply({gradients, group * Index(filters), 1, p_.filters},
                                 {images, group * Index(channels), 0, p_.channels},
                                 {sums, group * Index(filters * channels), channels, 0}, f, filters, channels,
                                 channels, count_);
            });
          },
          serial, 1);
    }
    const std::int64_t taps = p_.kernel.count();
    b_.parallel(
        "w", p_.filters * channels,
        [&](Index w) {
          transforms_.synthesise(TilePart::filter, sums, w, [&](Index y, std::int64_t x, ScalarValue value) {
            const Index row = p_.flip ? Index(p_.kernel[0] - 1) - y : y;
            const std::int64_t column = p_.flip ? p_.kernel[1] - 1 - x : x;
            b_.store(result, w * Index(taps) + row * Index(p_.kernel[1]) + Index(column), value);
          });
        },
        vectorize);
  }

  const LowerContext& context_;
  const ConvProblem p_;
  const ConvTiles t_;
  const DType dtype_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  TileTransforms transforms_;
  TileProducts products_;
  const std::int64_t count_;  // tiles
  std::array<TiledAxis, 2> axes_;
  std::optional<Buffer> table_;
};

}  // namespace

std::optional<NodeCode> lower_transformed_conv(const LowerContext& context) {
  const ConvProblem problem = concrete_conv_problem(context.node);
  const bool is_winograd = &context.node.op() == &winograd_conv_op();
  if (!(is_winograd ? winograd_refusal(problem) : fourier_refusal(problem)).empty()) return std::nullopt;
  for (const Layout& input : context.inputs) {
    if (!is_contiguous(input)) return std::nullopt;
  }
  return TransformedConv(context, problem, conv_tiles(context.node)).lower();
}

}  // namespace croton
