#include <algorithm>
#include <cmath>

#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

// Sums that take no more bytes are kept a vector each until the end of the batch; larger ones are added up
// over the lanes for each image.
constexpr std::int64_t kept_sum_bytes = 4 * 1024 * 1024;
// Taps of a block of channels, whose sums are written out a tile at a time.
constexpr std::int64_t most_written_taps = 32;

/// Sums that a tile keeps in registers, and the cycles of a vector of positions in all tiles.
struct WeightTiles {
  TileSplit filters, taps;
  double cycles = INFINITY;
};

std::int64_t channel_block(const ConvProblem& p) {
  const std::int64_t taps = std::max<std::int64_t>(1, p.kernel.count());
  return std::clamp<std::int64_t>(most_written_taps / taps, 1,
                                  std::max<std::int64_t>(1, p.channels / p.groups));
}

WeightTiles choose_weight_tiles(const ConvProblem& p, const ConvTuning& tuning) {
  const std::int64_t filters = p.filters / p.groups, taps = channel_block(p) * p.kernel.count();
  const std::int64_t most_taps = tuning.unroll_patch.value_or(true) ? std::min<std::int64_t>(taps, 12) : 1;
  WeightTiles best;
  for (std::int64_t f = 1; f <= std::min<std::int64_t>(filters, 16); ++f) {
    if (tuning.unroll_kern &&
        f != std::clamp<std::int64_t>(*tuning.unroll_kern, 1, std::min<std::int64_t>(filters, 16)))
      continue;
    for (std::int64_t t = 1; t <= most_taps && (t == 1 || f * t + t < conv_registers); ++t) {
      WeightTiles tiles{split_evenly(filters, f), split_evenly(taps, t), 0};
      for (const auto& [fn, fs] : {std::pair(tiles.filters.large, tiles.filters.size + 1),
                                   std::pair(tiles.filters.small, tiles.filters.size)}) {
        for (const auto& [tn, ts] : {std::pair(tiles.taps.large, tiles.taps.size + 1),
                                     std::pair(tiles.taps.small, tiles.taps.size)}) {
          // A vector of an image that is not aligned costs two loads.
          const auto work = static_cast<double>(fs * ts),
                     loads = static_cast<double>(fs) + 1.5 * static_cast<double>(ts);
          tiles.cycles += static_cast<double>(fn * tn) * (std::max({work, loads, 4.5}) + 0.1 * loads);
        }
      }
      if (tiles.cycles < best.cycles) best = tiles;
    }
  }
  return best;
}

/// backward_weights with neighbouring positions of the output as lanes. The gradient is read as it lies; of
/// the image there is a plane for every column of the kernel (and every remainder of its rows by the stride)
/// whose rows are as long as those of the gradient, so that each tap is the same plane from another row on.
class FlatWeights {
 public:
  FlatWeights(const LowerContext& context, const ConvProblem& problem, const ConvTuning& tuning)
      : context_(context),
        p_(problem),
        tuning_(tuning),
        kernel_(context, "conv_weights_flat_lanes"),
        b_(kernel_.builder()),
        dtype_(compute_dtype(p_.dtype)),
        lanes_(conv_lanes(p_.dtype)),
        channels_(p_.channels / p_.groups),
        filters_(p_.filters / p_.groups),
        positions_(p_.out.count()),
        block_(channel_block(p_)),
        tiles_(choose_weight_tiles(p_, tuning)) {
    if (p_.filter_shape().count() * lanes_ * static_cast<std::int64_t>(size_of(dtype_)) <= kept_sum_bytes)
      sum_lanes_ = lanes_;
    image_ = kernel_.input(0);
    gradient_ = kernel_.input(1);
    result_ = kernel_.output(0);
    const std::int64_t last_tap = (p_.kernel[0] - 1) * p_.dilation[0];
    remainders_ = std::min(p_.stride[0], last_tap + 1);
    plane_ = (last_tap / p_.stride[0] + p_.out[0]) * p_.out[1];
    channel_ = p_.kernel[1] * remainders_ * plane_;
    ConvProblem forward = p_;
    forward.direction = ConvDirection::forward;
    weights_ = correlation_of(forward).weights;
  }

  NodeCode lower() {
    // Whole vectors are stored.
    const std::int64_t size = (block_ * channel_ + 2 * lanes_ - 1) / lanes_ * lanes_;
    const std::int64_t weights = p_.filter_shape().count();
    const int threads = tuning_.openmp ? context_.threads : 1;
    const std::int64_t images = images_together(threads), blocks = (p_.batch + images - 1) / images;
    const ConvTasks tasks = conv_tasks(blocks, p_.groups, tiles_.filters.tiles(), size, threads);
    planes_ = kernel_.scratch(dtype_, tasks.count() * size);
    sums_ = kernel_.scratch(dtype_, tasks.chunks * weights * sum_lanes_);
    b_.parallel(
        "i", tasks.chunks * weights * sum_lanes_,
        [&](Index i) { b_.store(sums_, i, b_.constant(0, dtype_)); }, vectorize);
    const auto body = [&](Index task) {
      const Index chunk = floor_div(task, tasks.parts), part = mod(task, tasks.parts);
      planes_base_ = task * Index(size);
      sums_base_ = chunk * Index(weights);
      b_.loop("i", 0, size, vectorize,
              [&](Index i) { b_.store(planes_, planes_base_ + i, b_.constant(0, dtype_)); });
      const Index first = chunk * Index(tasks.per_chunk * images);
      b_.loop("image", first, min(first + Index(tasks.per_chunk * images), p_.batch), [&](Index n) {
        const auto [first_group, last_group] = groups_of(tasks, part, p_.groups);
        b_.loop("group", first_group, last_group, [&](Index group) { add_image(tasks, part, n, group); });
      });
    };
    if (tuning_.openmp) {
      b_.parallel("task", tasks.count(), body, serial, 1);
    } else {
      b_.once([&] { b_.loop("task", 0, tasks.count(), body); });
    }
    add_partial_sums(b_, result_, sums_, tasks.chunks, weights, sum_lanes_);
    return kernel_.finish();
  }

 private:
  /// A tap of a channel of a block, and where the positions that it reads begin in the planes.
  struct Tap {
    std::int64_t channel, row, column, at;
  };

  /// So many that sums of their own cost little beside them.
  std::int64_t images_together(int threads) const {
    constexpr std::int64_t least_vectors = 400;
    const std::int64_t vectors = (positions_ + lanes_ - 1) / lanes_;
    return std::clamp<std::int64_t>(least_vectors / vectors, 1,
                                    std::max<std::int64_t>(1, p_.batch / threads));
  }

  std::vector<Tap> taps_of(std::int64_t channels) const {
    std::vector<Tap> taps;
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t k = 0; k < p_.kernel[0]; ++k) {
        for (std::int64_t l = 0; l < p_.kernel[1]; ++l) {
          const std::int64_t row = k * p_.dilation[0];
          taps.push_back({c, k, l,
                          c * channel_ + (l * remainders_ + row % p_.stride[0]) * plane_ +
                              row / p_.stride[0] * p_.out[1]});
        }
      }
    }
    return taps;
  }

  void add_image(const ConvTasks& tasks, Index part, Index n, Index group) {
    const auto add_channels = [&](Index first, std::int64_t channels) {
      b_.loop("channel", 0, channels, [&](Index c) {
        load_channel((n * Index(p_.groups) + group) * Index(channels_) + first + c,
                     planes_base_ + c * Index(channel_));
      });
      const std::vector<Tap> taps = taps_of(channels);
      const auto add_filters = [&](std::int64_t begin, std::int64_t tiles, std::int64_t filters) {
        if (tiles == 0) return;
        const auto [from, to] = share_of(tasks, part, tiles);
        b_.loop("filters", from, to, [&](Index tile) {
          const Index filter = Index(begin) + tile * Index(filters);
          const std::int64_t size = tiles_.taps.size, large = tiles_.taps.large;
          for (std::size_t tap = 0, i = 0; tap < taps.size(); ++i) {
            const auto most = static_cast<std::size_t>(size + (static_cast<std::int64_t>(i) < large));
            const std::size_t count = std::min(most, taps.size() - tap);
            add(n, group, filter, filters, first, std::span(taps).subspan(tap, count),
                static_cast<std::int64_t>(i));
            tap += count;
          }
        });
      };
      const TileSplit& split = tiles_.filters;
      add_filters(0, split.large, split.size + 1);
      add_filters(split.large * (split.size + 1), split.small, split.size);
    };
    b_.loop("channels", 0, channels_ / block_, [&](Index i) { add_channels(i * Index(block_), block_); });
    const std::int64_t rest = channels_ % block_;
    if (rest != 0) add_channels(channels_ - rest, rest);
  }

  /// The planes of one channel; what lies outside of the image is zero already.
  void load_channel(Index channel, Index to) {
    for (std::int64_t l = 0; l < p_.kernel[1]; ++l) {
      const Range columns = inside(1, l * p_.dilation[1], p_.out[1]);
      for (std::int64_t remainder = 0; remainder < remainders_; ++remainder) {
        const Range rows = inside(0, remainder, plane_ / p_.out[1]);
        const Index plane = to + Index((l * remainders_ + remainder) * plane_);
        b_.loop("row", rows.first, rows.last, [&](Index row) {
          const Index from =
              channel * Index(p_.image.count()) +
              (row * Index(p_.stride[0]) + Index(remainder - p_.pad_lo[0])) * Index(p_.image[1]) +
              Index(l * p_.dilation[1] - p_.pad_lo[1]);
          const Index goal = plane + row * Index(p_.out[1]);
          if (p_.stride[1] == 1) {
            // Zeros in the next row come before what belongs there.
            copy_in_vectors(b_, planes_, goal + Index(columns.first), image_, from + Index(columns.first),
                            columns.last - columns.first, lanes_);
            return;
          }
          b_.loop("column", columns.first, columns.last, vectorize, [&](Index column) {
            b_.store(planes_, goal + column, b_.load(image_, from + column * Index(p_.stride[1])));
          });
        });
      }
    }
  }

  /// [first, last) of those i < count whose element i * stride + offset of the padded axis lies in the image.
  struct Range {
    std::int64_t first, last;
  };
  Range inside(std::size_t axis, std::int64_t offset, std::int64_t count) const {
    const std::int64_t stride = p_.stride[axis], before = std::max<std::int64_t>(0, p_.pad_lo[axis] - offset);
    const std::int64_t to = std::max<std::int64_t>(0, p_.image[axis] + p_.pad_lo[axis] - offset);
    const std::int64_t first = std::min(count, (before + stride - 1) / stride);
    return {first, std::clamp((to + stride - 1) / stride, first, count)};
  }

  /// Adds what an image contributes to the sums of a tile.
  void add(Index n, Index group, Index filter, std::int64_t filters, Index channel, std::span<const Tap> taps,
           std::int64_t tap_tile) {
    const Index gradient = ((n * Index(p_.groups) + group) * Index(filters_) + filter) * Index(positions_);
    const bool is_kept = sum_lanes_ == lanes_;
    std::vector<Index> places;
    std::vector<Local> totals;
    for (std::int64_t f = 0; f < filters; ++f) {
      for (const Tap& tap : taps) {
        const Index weight = Index(weights_.base + tap.row * weights_.row + tap.column * weights_.column) +
                             group * Index(weights_.group) + (filter + Index(f)) * Index(weights_.result) +
                             (channel + Index(tap.channel)) * Index(weights_.source);
        places.push_back((sums_base_ + weight) * Index(sum_lanes_));
        if (!is_kept) totals.push_back(b_.local("total", b_.load(sums_, places.back())));
      }
    }
    b_.loop("lane", 0, lanes_, vectorize.by(1), [&](Index lane) {
      std::vector<Local> sums;
      for (const Index& place : places)
        sums.push_back(b_.local("sum", is_kept ? b_.load(sums_, place + lane) : b_.constant(0, dtype_)));
      const auto multiply = [&](const auto& load) {
        std::vector<ScalarValue> sources;
        for (const Tap& tap : taps) sources.push_back(load(planes_, planes_base_ + Index(tap.at)));
        for (std::int64_t f = 0; f < filters; ++f) {
          const ScalarValue factor = load(gradient_, gradient + Index(f * positions_));
          for (std::size_t i = 0; i < sources.size(); ++i) {
            const Local sum = sums[static_cast<std::size_t>(f) * sources.size() + i];
            b_.set(sum, b_.emit(ScalarOp::fma, sources[i], factor, b_.get(sum)));
          }
        }
      };
      const std::int64_t whole = positions_ / lanes_ * lanes_;
      b_.loop(
          "position", 0, whole, serial,
          [&](Index q) {
            // What the next filters need: it lies behind, and each tile of taps fetches a part of it.
            for (std::int64_t f = tap_tile; f < filters; f += tiles_.taps.tiles())
              b_.prefetch(gradient_, gradient + Index((f + filters) * positions_) + q);
            multiply([&](Buffer from, Index at) { return b_.load(from, at + q + lane); });
          },
          lanes_);
      if (whole < positions_) {
        const Index q = Index(whole) + lane;
        const ScalarValue is_inside = b_.compare(ScalarOp::lt, q, positions_);
        multiply(
            [&](Buffer from, Index at) { return b_.load(from, at + q, is_inside, b_.constant(0, dtype_)); });
      }
      for (std::size_t i = 0; i < sums.size(); ++i) {
        if (is_kept) {
          b_.store(sums_, places[i] + lane, b_.get(sums[i]));
        } else {
          b_.reduce(ScalarOp::add, totals[i], b_.get(sums[i]));
        }
      }
    });
    for (std::size_t i = 0; i < totals.size(); ++i) b_.store(sums_, places[i], b_.get(totals[i]));
  }

  const LowerContext& context_;
  const ConvProblem& p_;
  const ConvTuning& tuning_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  DType dtype_;
  std::int64_t lanes_, channels_, filters_, positions_;
  std::int64_t block_;  // channels that are laid out at once
  WeightTiles tiles_;
  std::int64_t sum_lanes_ = 1;                             // of a sum in memory
  std::int64_t remainders_ = 1, plane_ = 0, channel_ = 0;  // of rows by the stride; elements
  Correlation::Weights weights_;
  Buffer image_, gradient_, result_, planes_, sums_;
  Index planes_base_, sums_base_;
};

}  // namespace

double weights_flat_lanes_cycles(const ConvProblem& p, const ConvTuning& tuning) {
  const std::int64_t lanes = conv_lanes(p.dtype), channels = p.channels / p.groups;
  const auto vectors = static_cast<double>((p.out.count() + lanes - 1) / lanes);
  const auto blocks = static_cast<double>(channels) / static_cast<double>(channel_block(p));
  const double products = static_cast<double>(p.groups) * blocks * choose_weight_tiles(p, tuning).cycles;
  // Measured on Zen 4; sums come from a cache and go back for each image.
  constexpr double sum = 6, vector_moved = 2;
  const auto sums = static_cast<double>(p.filter_shape().count());
  const auto rows = static_cast<double>(p.channels * p.kernel[1] * p.image[0]);
  const double row = p.stride[1] == 1 ? vector_moved * static_cast<double>((p.out[1] + lanes - 1) / lanes)
                                      : strided_element_cycles * static_cast<double>(p.out[1]);
  return static_cast<double>(p.batch) * (vectors * products + sum * sums + row * rows);
}

NodeCode lower_conv_weights_flat_lanes(const LowerContext& context, const ConvProblem& problem,
                                       const ConvTuning& tuning) {
  return FlatWeights(context, problem, tuning).lower();
}

}  // namespace croton
