#include <algorithm>

#include "croton/codegen/flat_image.h"
#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

constexpr std::int64_t most_columns = 6;

/// backward_weights with neighbouring output positions as lanes. All images are laid out first; then every
/// tile of filters and kernel columns sums over all of them.
class FlatWeights {
 public:
  FlatWeights(const LowerContext& context, const ConvProblem& problem, const ConvTuning& tuning)
      : p_(problem),
        tuning_(tuning),
        kernel_(context, "conv_weights_flat_lanes"),
        b_(kernel_.builder()),
        lanes_(conv_lanes(p_.dtype)),
        channels_(p_.channels / p_.groups),
        filters_(p_.filters / p_.groups) {
    ConvProblem forward = p_;
    forward.direction = ConvDirection::forward;
    const Correlation c = correlation_of(forward);
    rows_ = c.rows.phases[0];
    columns_ = c.columns.phases[0];
    weights_ = c.weights;
    flat_ = {flat_axis(c.rows), flat_axis(c.columns), p_.channels};
    run_ = (flat_.run(p_.out[0], p_.out[1]) + lanes_ - 1) / lanes_ * lanes_;
    image_ = kernel_.input(0);
    gradient_ = kernel_.input(1);
    result_ = kernel_.output(0);
    // As many kernel columns of one plane and filters as fit the registers.
    std::int64_t widest = 1;
    for (const TapGroup& g : tap_groups(flat_.columns, columns_)) widest = std::max(widest, g.count);
    column_tile_ = tuning_.unroll_patch.value_or(true) ? std::min(widest, most_columns) : 1;
    std::int64_t most = std::max<std::int64_t>(1, (conv_registers - 1 - column_tile_) / column_tile_);
    if (tuning_.unroll_kern) most = std::clamp<std::int64_t>(*tuning_.unroll_kern, 1, 16);
    filter_tiles_ = split_evenly(filters_, std::min<std::int64_t>(most, 12));
  }

  NodeCode lower() {
    flat_size_ = (flat_.channels * flat_.planes() * flat_.plane() + lanes_ + 15) / 16 * 16;
    image_flat_ = kernel_.scratch(p_.dtype, p_.batch * flat_size_);
    gradient_flat_ = kernel_.scratch(p_.dtype, p_.batch * p_.filters * run_);
    for_each(p_.batch, [&](Index n) { load_image(n); });
    for_each(p_.batch * p_.filters, [&](Index plane) { load_gradient(plane); });
    const std::int64_t tiles = filter_tiles_.tiles() * p_.groups;
    for_each(tiles * channels_ * p_.kernel[0], [&](Index task) {
      const Index row = mod(task, p_.kernel[0]);
      const Index channel = mod(floor_div(task, p_.kernel[0]), channels_);
      const Index tile = floor_div(task, p_.kernel[0] * channels_);
      const Index group = floor_div(tile, filter_tiles_.tiles()), t = mod(tile, filter_tiles_.tiles());
      const TileSplit& split = filter_tiles_;
      const auto large = [&] { filters(group, t * Index(split.size + 1), split.size + 1, channel, row); };
      const auto small = [&] {
        filters(group, Index(split.large) + t * Index(split.size), split.size, channel, row);
      };
      if (split.large == 0) {
        small();
      } else if (split.small == 0) {
        large();
      } else {
        b_.branch(b_.compare(ScalarOp::lt, t, split.large), large, small);
      }
    });
    return kernel_.finish();
  }

 private:
  void for_each(std::int64_t extent, const KernelBuilder::Body& body) {
    if (tuning_.openmp) {
      b_.parallel("task", extent, body, serial, 1);
    } else {
      b_.once([&] { b_.loop("task", 0, extent, body); });
    }
  }

  void clear(Buffer buffer, Index begin, std::int64_t count) {
    b_.loop("i", 0, count, vectorize,
            [&](Index i) { b_.store(buffer, begin + i, b_.constant(0, compute_dtype(p_.dtype))); });
  }

  void load_image(Index n) {
    clear(image_flat_, n * Index(flat_size_), flat_size_);
    b_.loop("channel", 0, flat_.channels, [&](Index channel) {
      load_flat_channel(b_, flat_, image_flat_,
                        n * Index(flat_size_) + channel * Index(flat_.planes() * flat_.plane()), image_,
                        (n * Index(p_.channels) + channel) * Index(p_.image.count()));
    });
  }

  /// One filter of one image, its rows as far apart as those of the image and zeros between.
  void load_gradient(Index plane) {
    clear(gradient_flat_, plane * Index(run_), run_);
    b_.loop("row", 0, p_.out[0], [&](Index y) {
      b_.loop("column", 0, p_.out[1], vectorize, [&](Index x) {
        b_.store(gradient_flat_, plane * Index(run_) + y * Index(flat_.pitch()) + x,
                 b_.load(gradient_, (plane * Index(p_.out[0]) + y) * Index(p_.out[1]) + x));
      });
    });
  }

  void filters(Index group, Index first, std::int64_t count, Index channel, Index row) {
    // The plane and the shift of a kernel row, which is a run-time number here.
    const Index at = row * Index(rows_.offset_step) + Index(rows_.offset - flat_.rows.begin);
    const Index plane = mod(at, flat_.rows.planes), shift = floor_div(at, flat_.rows.planes);
    const Index image = (group * Index(channels_) + channel) * Index(flat_.planes() * flat_.plane()) +
                        plane * Index(flat_.columns.planes * flat_.plane()) + shift * Index(flat_.pitch());
    for (const TapGroup& c : tap_groups(flat_.columns, columns_)) {
      for (std::int64_t begin = 0; begin < c.count; begin += column_tile_) {
        tile(group, first, count, channel, row, image + Index(c.plane * flat_.plane()), c, begin,
             std::min(column_tile_, c.count - begin));
      }
    }
  }

  void tile(Index group, Index first, std::int64_t count, Index channel, Index row, Index image,
            const TapGroup& c, std::int64_t begin, std::int64_t columns) {
    const DType dtype = compute_dtype(p_.dtype);
    std::vector<Local> totals;
    for (std::int64_t i = 0; i < count * columns; ++i)
      totals.push_back(b_.local("total", b_.constant(0, dtype)));
    const Index filter = group * Index(filters_) + first;
    b_.loop("lane", 0, lanes_, vectorize.by(1), [&](Index lane) {
      std::vector<Local> sums;
      for (std::int64_t i = 0; i < count * columns; ++i)
        sums.push_back(b_.local("sum", b_.constant(0, dtype)));
      b_.loop("image", 0, p_.batch, [&](Index n) {
        const Index x0 = n * Index(flat_size_) + image + lane;
        const Index g0 = (n * Index(p_.filters) + filter) * Index(run_) + lane;
        b_.loop(
            "position", 0, run_, serial,
            [&](Index q) {
              std::vector<ScalarValue> sources;
              for (std::int64_t j = begin; j < begin + columns; ++j) {
                sources.push_back(b_.load(image_flat_, x0 + q + Index(c.offset + j * c.offset_step)));
              }
              for (std::int64_t f = 0; f < count; ++f) {
                const ScalarValue gradient = b_.load(gradient_flat_, g0 + q + Index(f * run_));
                for (std::int64_t j = 0; j < columns; ++j) {
                  const Local sum = sums[static_cast<std::size_t>(f * columns + j)];
                  b_.set(sum,
                         b_.emit(ScalarOp::fma, sources[static_cast<std::size_t>(j)], gradient, b_.get(sum)));
                }
              }
            },
            lanes_);
      });
      for (std::size_t i = 0; i < sums.size(); ++i) b_.reduce(ScalarOp::add, totals[i], b_.get(sums[i]));
    });
    for (std::int64_t f = 0; f < count; ++f) {
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t tap = c.tap + (begin + j) * c.tap_step;
        const Index at = Index(weights_.base) + group * Index(weights_.group) +
                         (first + Index(f)) * Index(weights_.result) + channel * Index(weights_.source) +
                         row * Index(weights_.row) + Index(tap * weights_.column);
        b_.store(result_, at, b_.get(totals[static_cast<std::size_t>(f * columns + j)]));
      }
    }
  }

  const ConvProblem& p_;
  const ConvTuning& tuning_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  std::int64_t lanes_, channels_, filters_;
  AxisPhase rows_, columns_;
  Correlation::Weights weights_;
  FlatImage flat_;
  std::int64_t run_ = 0, flat_size_ = 0, column_tile_ = 1;
  TileSplit filter_tiles_;
  Buffer image_, gradient_, result_, image_flat_, gradient_flat_;
};

}  // namespace

NodeCode lower_conv_weights_flat_lanes(const LowerContext& context, const ConvProblem& problem,
                                       const ConvTuning& tuning) {
  return FlatWeights(context, problem, tuning).lower();
}

}  // namespace croton
