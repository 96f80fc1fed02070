#include <algorithm>

#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

constexpr std::int64_t most_elements = 6;
// Sums that fit in so many bytes are kept a vector each, lanes apart, until the end of the batch; larger ones
// are added up over the lanes after each block of images.
constexpr std::int64_t kept_bytes = 256 * 1024;
// Rows of the gradient that are worked on at once stay in the first-level cache.
constexpr std::int64_t gradient_strip_bytes = 16 * 1024;

/// A part of the kernel elements of a filter that one tile computes, and where it begins.
struct Elements {
  std::int64_t channels, rows, columns;
  Index channel, row, column;
  std::int64_t count() const { return channels * rows * columns; }
};

class WeightGradient {
 public:
  WeightGradient(const LowerContext& context, const ConvProblem& problem, const ConvTuning& tuning)
      : context_(context),
        p_(problem),
        tuning_(tuning),
        kernel_(context, "conv_weights_batch_lanes"),
        b_(kernel_.builder()),
        lanes_(conv_lanes(p_.dtype)),
        channels_(p_.channels / p_.groups),
        filters_(p_.filters / p_.groups) {
    image_ = kernel_.input(0);
    gradient_ = kernel_.input(1);
    result_ = kernel_.output(0);
    // What the taps reach, with zeros around the image; what no tap reaches stays at the end of a row.
    std::int64_t extents[2];
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const std::int64_t reach =
          (p_.out[axis] - 1) * p_.stride[axis] + p_.dilated_kernel(static_cast<int>(axis));
      extents[axis] = std::max(reach, p_.pad_lo[axis] + p_.image[axis]);
    }
    image_layout_ = {channels_,
                     p_.image[0],
                     p_.image[1],
                     extents[1],
                     extents[0] * extents[1],
                     lanes_,
                     p_.channels * p_.image.count()};
    choose();
    const std::int64_t plane = p_.out.count();
    gradient_layout_ = {widest_tile(), p_.out[0], p_.out[1], p_.out[1], plane, lanes_, p_.filters * plane};
  }

  NodeCode lower() {
    const std::int64_t blocks = (p_.batch + lanes_ - 1) / lanes_;
    image_size_ = channels_ * image_layout_.channel_pitch * lanes_;
    gradient_size_ = gradient_layout_.image() * lanes_;
    const std::int64_t weights = p_.filters * channels_ * p_.kernel[0] * p_.kernel[1];
    const DType dtype = compute_dtype(p_.dtype);
    tasks_ = conv_tasks(blocks, p_.groups, filter_tiles_.tiles(), image_size_ + gradient_size_,
                        tuning_.openmp ? context_.threads : 1);
    image_lanes_ = kernel_.scratch(p_.dtype, tasks_.count() * image_size_);
    gradient_lanes_ = kernel_.scratch(p_.dtype, tasks_.count() * gradient_size_);
    const std::int64_t sums = are_kept_ ? weights * lanes_ : weights;
    partial_ = kernel_.scratch(dtype, tasks_.chunks * sums);
    const auto body = [&](Index task) {
      const Index chunk = floor_div(task, tasks_.parts), part = mod(task, tasks_.parts);
      image_base_ = task * Index(image_size_);
      gradient_base_ = task * Index(gradient_size_);
      partial_base_ = chunk * Index(sums);
      const std::int64_t rest = p_.batch % lanes_;
      if (rest != 0 || image_layout_.channel_pitch != p_.image.count())
        clear(image_lanes_, image_base_, image_size_);
      if (rest != 0) clear(gradient_lanes_, gradient_base_, gradient_size_);
      if (are_kept_) clear_sums(part);
      const Index first = chunk * Index(tasks_.per_chunk);
      b_.loop("block", first, min(first + Index(tasks_.per_chunk), blocks), [&](Index block) {
        const ScalarValue is_first = b_.compare(ScalarOp::eq, block, first);
        if (rest == 0 || blocks == 1) {
          accumulate(block, part, is_first, [&](const auto& move) { move(rest == 0 ? lanes_ : rest); });
          return;
        }
        const ScalarValue is_whole = b_.compare(ScalarOp::lt, block, blocks - 1);
        b_.branch(
            is_whole, [] {},
            [&] {
              // The lanes without an image still hold those of the block before.
              clear(image_lanes_, image_base_, image_size_);
              clear(gradient_lanes_, gradient_base_, gradient_size_);
            });
        accumulate(block, part, is_first, [&](const auto& move) {
          b_.branch(is_whole, [&] { move(lanes_); }, [&] { move(rest); });
        });
      });
    };
    if (tuning_.openmp) {
      b_.parallel("task", tasks_.count(), body, serial, 1);
    } else {
      b_.once([&] { b_.loop("task", 0, tasks_.count(), body); });
    }
    add_partial_sums(b_, result_, partial_, tasks_.chunks, weights, are_kept_ ? lanes_ : 1);
    return kernel_.finish();
  }

 private:
  void choose() {
    columns_ = split_evenly(p_.kernel[1], tuning_.unroll_patch.value_or(true) ? most_elements : 1);
    const std::int64_t widest = columns_.size + (columns_.large != 0);
    rows_ = split_evenly(p_.kernel[0],
                         std::max<std::int64_t>(1, most_elements / std::max<std::int64_t>(1, widest)));
    const std::int64_t area = widest * (rows_.size + (rows_.large != 0));
    channel_tiles_ =
        split_evenly(channels_, std::max<std::int64_t>(1, most_elements / std::max<std::int64_t>(1, area)));
    const std::int64_t elements =
        std::max<std::int64_t>(1, area * (channel_tiles_.size + (channel_tiles_.large != 0)));
    std::int64_t most = std::max<std::int64_t>(1, (conv_registers - 1 - elements) / elements);
    if (tuning_.unroll_kern) most = std::clamp<std::int64_t>(*tuning_.unroll_kern, 1, 16);
    filter_tiles_ = split_evenly(filters_, most);
    are_kept_ =
        p_.filter_shape().count() * lanes_ * static_cast<std::int64_t>(size_of(compute_dtype(p_.dtype))) <=
        kept_bytes;
    const std::int64_t row = widest_tile() * p_.out[1] * 64;
    strip_rows_ = are_kept_ ? std::clamp<std::int64_t>(gradient_strip_bytes / std::max<std::int64_t>(1, row),
                                                       1, std::max<std::int64_t>(1, p_.out[0]))
                            : std::max<std::int64_t>(1, p_.out[0]);
  }

  /// Filters of the largest tile.
  std::int64_t widest_tile() const { return filter_tiles_.size + (filter_tiles_.large != 0); }

  /// Zeros for the filters of this part.
  void clear_sums(Index part) {
    const std::int64_t filter = channels_ * p_.kernel.count() * lanes_;
    const auto [first_group, last_group] = groups_of(tasks_, part, p_.groups);
    b_.loop("group", first_group, last_group, [&](Index group) {
      each_size(filter_tiles_, [&](std::int64_t count, std::int64_t size, std::int64_t begin) {
        const auto [from, to] = share_of(tasks_, part, count);
        const Index first = group * Index(filters_) + Index(begin);
        const Index start = partial_base_ + (first + from * Index(size)) * Index(filter);
        b_.loop("i", 0, (to - from) * Index(size * filter), vectorize,
                [&](Index i) { b_.store(partial_, start + i, b_.constant(0, compute_dtype(p_.dtype))); });
      });
    });
  }

  void clear(Buffer buffer, Index begin, std::int64_t count) {
    b_.loop("i", 0, count, vectorize,
            [&](Index i) { b_.store(buffer, begin + i, b_.constant(0, compute_dtype(p_.dtype))); });
  }

  /// The channels of a group.
  void load_images(Index block, Index group, std::int64_t images) {
    const Index corner =
        image_base_ + Index((p_.pad_lo[0] * image_layout_.row_pitch + p_.pad_lo[1]) * lanes_);
    load_lanes(b_, image_layout_, image_lanes_, corner, image_,
               block * Index(lanes_ * image_layout_.between) + group * Index(image_layout_.image()), images);
  }

  /// Some filters of the gradient.
  void load_gradients(Index block, Index filter, std::int64_t filters, std::int64_t images) {
    LaneLayout layout = gradient_layout_;
    layout.channels = filters;
    load_lanes(b_, layout, gradient_lanes_, gradient_base_, gradient_,
               block * Index(lanes_ * layout.between) + filter * Index(p_.out.count()), images);
  }

  /// Both sizes of tiles that a split has.
  template <class F>
  void each_size(const TileSplit& split, const F& f) {
    if (split.large > 0) f(split.large, split.size + 1, std::int64_t{0});
    if (split.small > 0) f(split.small, split.size, split.large * (split.size + 1));
  }
  template <class F>
  void each_tile(const TileSplit& split, const char* name, const F& f) {
    each_size(split, [&](std::int64_t count, std::int64_t size, std::int64_t begin) {
      b_.loop(name, 0, count, [&](Index i) { f(Index(begin) + i * Index(size), size); });
    });
  }

  /// Adds what the images of a block contribute. What is moved next is worked on while it is in a cache:
  /// `move` calls a move of images with their number.
  template <class Move>
  void accumulate(Index block, Index part, ScalarValue is_first, const Move& move) {
    const auto [first_group, last_group] = groups_of(tasks_, part, p_.groups);
    b_.loop("group", first_group, last_group, [&](Index group) {
      move([&](std::int64_t images) { load_images(block, group, images); });
      each_size(filter_tiles_, [&](std::int64_t count, std::int64_t size, std::int64_t begin) {
        const auto [from, to] = share_of(tasks_, part, count);
        b_.loop("filters", from, to, [&](Index tile) {
          const Index filter = group * Index(filters_) + Index(begin) + tile * Index(size);
          move([&](std::int64_t images) { load_gradients(block, filter, size, images); });
          const std::int64_t strips = (p_.out[0] + strip_rows_ - 1) / strip_rows_;
          b_.loop("strip", 0, std::max<std::int64_t>(1, strips), [&](Index strip) {
            each_tile(channel_tiles_, "channels", [&](Index channel, std::int64_t channels) {
              each_tile(rows_, "tap", [&](Index row, std::int64_t rows) {
                each_tile(columns_, "column_tap", [&](Index column, std::int64_t columns) {
                  this->tile(filter, size, {channels, rows, columns, channel, row, column}, strip, is_first);
                });
              });
            });
          });
        });
      });
    });
  }

  void tile(Index filter, std::int64_t filters, const Elements& e, Index strip, ScalarValue is_first) {
    const DType dtype = compute_dtype(p_.dtype);
    const std::int64_t count = filters * e.count();
    std::vector<Local> totals;
    for (std::int64_t i = 0; i < count && !are_kept_; ++i) {
      totals.push_back(b_.local("total", b_.constant(0, dtype)));
    }
    const std::vector<Index> places = weight_places(filter, filters, e);
    const auto kept = [&](std::size_t i, Index lane) {
      return partial_base_ + places[i] * Index(lanes_) + lane;
    };
    b_.loop("lane", 0, lanes_, vectorize.by(1), [&](Index lane) {
      std::vector<Local> sums;
      for (std::size_t i = 0; i < places.size(); ++i) {
        sums.push_back(b_.local("sum", are_kept_ ? b_.load(partial_, kept(i, lane)) : b_.constant(0, dtype)));
      }
      sum_positions(filters, e, strip, lane, sums);
      for (std::size_t i = 0; i < sums.size(); ++i) {
        if (are_kept_) {
          b_.store(partial_, kept(i, lane), b_.get(sums[i]));
        } else {
          b_.reduce(ScalarOp::add, totals[i], b_.get(sums[i]));
        }
      }
    });
    for (std::size_t i = 0; i < totals.size(); ++i) {
      // Set by the first block of the chunk, added to by the others.
      const Index at = partial_base_ + places[i];
      const ScalarValue before =
          b_.emit(ScalarOp::select, is_first, b_.constant(0, dtype), b_.load(partial_, at));
      b_.store(partial_, at, b_.emit(ScalarOp::add, before, b_.get(totals[i])));
    }
  }

  /// sums += gradient * image over a strip of rows of the output.
  void sum_positions(std::int64_t filters, const Elements& e, Index strip, Index lane,
                     const std::vector<Local>& sums) {
    const Index x0 =
        image_base_ + lane +
        (e.channel * Index(image_layout_.channel_pitch) +
         e.row * Index(p_.dilation[0] * image_layout_.row_pitch) + e.column * Index(p_.dilation[1])) *
            Index(lanes_);
    const Index g0 = gradient_base_ + lane;
    const Index first = strip * Index(strip_rows_);
    const bool is_even = p_.out[0] % strip_rows_ == 0;
    const Index last = is_even ? first + Index(strip_rows_) : min(first + Index(strip_rows_), p_.out[0]);
    b_.loop("y", first, p_.out[0] == 0 ? Index(0) : last, [&](Index y) {
      b_.loop("x", 0, p_.out[1], [&](Index x) {
        const Index at = x0 + (y * Index(p_.stride[0] * image_layout_.row_pitch) + x * Index(p_.stride[1])) *
                                  Index(lanes_);
        const Index g = g0 + (y * Index(p_.out[1]) + x) * Index(lanes_);
        std::vector<ScalarValue> sources;
        for (std::int64_t c = 0; c < e.channels; ++c) {
          for (std::int64_t k = 0; k < e.rows; ++k) {
            for (std::int64_t l = 0; l < e.columns; ++l) {
              const std::int64_t offset = c * image_layout_.channel_pitch +
                                          k * p_.dilation[0] * image_layout_.row_pitch + l * p_.dilation[1];
              sources.push_back(b_.load(image_lanes_, at + Index(offset * lanes_)));
            }
          }
        }
        for (std::int64_t f = 0; f < filters; ++f) {
          const ScalarValue gradient =
              b_.load(gradient_lanes_, g + Index(f * gradient_layout_.channel_pitch * lanes_));
          for (std::size_t i = 0; i < sources.size(); ++i) {
            const Local sum = sums[static_cast<std::size_t>(f) * sources.size() + i];
            b_.set(sum, b_.emit(ScalarOp::fma, sources[i], gradient, b_.get(sum)));
          }
        }
      });
    });
  }

  /// Where the weights of a tile lie in the result.
  std::vector<Index> weight_places(Index filter, std::int64_t filters, const Elements& e) {
    std::vector<Index> places;
    for (std::int64_t f = 0; f < filters; ++f) {
      for (std::int64_t c = 0; c < e.channels; ++c) {
        for (std::int64_t k = 0; k < e.rows; ++k) {
          for (std::int64_t l = 0; l < e.columns; ++l) {
            const Index row = e.row + Index(k), column = e.column + Index(l);
            const Index kernel_row = p_.flip ? Index(p_.kernel[0] - 1) - row : row;
            const Index kernel_column = p_.flip ? Index(p_.kernel[1] - 1) - column : column;
            const Index channel = e.channel + Index(c);
            places.push_back(
                (((filter + Index(f)) * Index(channels_) + channel) * Index(p_.kernel[0]) + kernel_row) *
                    Index(p_.kernel[1]) +
                kernel_column);
          }
        }
      }
    }
    return places;
  }

  const LowerContext& context_;
  const ConvProblem& p_;
  const ConvTuning& tuning_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  std::int64_t lanes_, channels_, filters_;
  Buffer image_, gradient_, result_, image_lanes_, gradient_lanes_, partial_;
  Index image_base_, gradient_base_, partial_base_;
  std::int64_t image_size_ = 0, gradient_size_ = 0;  // elements in lanes: of a group, of a tile
  LaneLayout image_layout_, gradient_layout_;
  TileSplit filter_tiles_, channel_tiles_, rows_, columns_;
  bool are_kept_ = false;
  std::int64_t strip_rows_ = 1;
  ConvTasks tasks_;
};

}  // namespace

double weights_batch_lanes_cycles(const ConvProblem& p) {
  const std::int64_t lanes = conv_lanes(p.dtype);
  const auto blocks = static_cast<double>((p.batch + lanes - 1) / lanes);
  const auto moved = static_cast<double>(p.channels * p.image.count() + p.filters * p.out.count());
  return blocks * (static_cast<double>(p.filter_shape().count() * p.out.count()) + batch_move_cycles * moved);
}

NodeCode lower_conv_weights_batch_lanes(const LowerContext& context, const ConvProblem& problem,
                                        const ConvTuning& tuning) {
  return WeightGradient(context, problem, tuning).lower();
}

}  // namespace croton
