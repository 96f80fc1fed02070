// The filters' gradient on a GPU. A group of threads sums over many positions; each thread has accumulators
// for a window of the kernel and some filters in registers, and walks down columns of the output's gradient,
// so that an image element that it reads serves a whole column of the window. Chunks of positions give
// partial results, which a second phase adds in order.

#include <algorithm>
#include <map>
#include <span>

#include "croton/codegen/conv_kernel.h"
#include "croton/codegen/lower_conv_gpu.h"
#include "croton/codegen/lower_conv_lanes.h"
#include "croton/ops/conv_implementations.h"

namespace croton {

namespace {

// Accumulators of a thread: few enough for many threads, which wait for memory in turns, on a multiprocessor,
// and enough that what is read of an image serves several filters: reading is what takes the time.
constexpr std::int64_t most_gpu_sums = 64;
constexpr std::int64_t gpu_groups_per_multiprocessor = 8;
// Rows of a thread's piece of a column, and its products, which are written out.
constexpr std::int64_t most_gpu_piece_rows = 12;
constexpr std::int64_t most_gpu_piece_products = 640;
// Threads of a group, and in all on a multiprocessor, that the schedule gives an index of its own.
constexpr std::int64_t most_gpu_group = 128;
constexpr std::int64_t gpu_threads_per_multiprocessor = 1024;

class WeightsGradient : ConvKernel {
 public:
  WeightsGradient(const LowerContext& context, const ConvProblem& p)
      : ConvKernel(context, p, "conv_weights"), windows_(conv_maxima(context.node.attributes())) {
    if (!windows_.empty()) places_ = kernel_.input(2);
  }

  NodeCode lower() {
    const std::int64_t weights = p_.filter_shape().count();
    if (weights == 0) return kernel_.finish();
    choose_tile();
    const std::vector<std::int64_t> tiles{
        p_.groups, tiles_of(filters_, tile_filters_), tiles_of(channels_, tile_channels_),
        tiles_of(p_.kernel[0], kernel_rows_), tiles_of(p_.kernel[1], kernel_columns_)};
    std::int64_t tile_count = 1;
    for (const std::int64_t extent : tiles) tile_count *= extent;
    const std::int64_t pieces = p_.batch * tiles_of(p_.out[0], rows_) * p_.out[1];
    share_out(tile_count, pieces);
    if (chunks_ > 1) partial_ = kernel_.scratch(compute_dtype(p_.dtype), weights * chunks_);
    b_.parallel("o", chunks_ * tile_count, [&](Index o) {
      const Index chunk = floor_div(o, tile_count);
      sum_tile(chunk, split_index(mod(o, tile_count), tiles), pieces);
    });
    if (chunks_ > 1) add_partials(weights);
    return kernel_.finish();
  }

 private:
  /// The window, channels and filters that a thread has accumulators for, and the rows of its pieces.
  void choose_tile() {
    const std::int64_t most = p_.dtype == DType::float64 ? most_gpu_sums / 2 : most_gpu_sums;
    const auto even = [](std::int64_t extent, std::int64_t largest) {
      const std::int64_t tile = std::clamp<std::int64_t>(largest, 1, extent);
      return tiles_of(extent, tiles_of(extent, tile));
    };
    kernel_columns_ = even(p_.kernel[1], most);
    kernel_rows_ = even(p_.kernel[0], most / kernel_columns_);
    const std::int64_t window = kernel_rows_ * kernel_columns_;
    tile_channels_ = even(channels_, most / window);
    tile_filters_ = even(filters_, most / (window * tile_channels_));
    double least = std::numeric_limits<double>::infinity();
    const std::int64_t sums = window * tile_channels_ * tile_filters_;
    for (std::int64_t r = 1; r <= std::min(p_.out[0], most_gpu_piece_rows); ++r) {
      if (r > 1 && r * sums > most_gpu_piece_products) break;
      std::map<std::int64_t, int> needed;
      for (std::int64_t y = 0; y < r; ++y) {
        for (std::int64_t k = 0; k < kernel_rows_; ++k) ++needed[y * p_.stride[0] + k * p_.dilation[0]];
      }
      const std::int64_t accesses =
          static_cast<std::int64_t>(needed.size()) * kernel_columns_ * tile_channels_ + r * tile_filters_;
      const double waste = static_cast<double>(tiles_of(p_.out[0], r) * r) / static_cast<double>(p_.out[0]);
      const double cost = (static_cast<double>(accesses) / static_cast<double>(r * sums) + 0.25) * waste;
      if (cost < least) {
        least = cost;
        rows_ = r;
      }
    }
  }

  /// Chunks of pieces, so that there is work for all multiprocessors, and the threads of a group.
  void share_out(std::int64_t tile_count, std::int64_t pieces) {
    const std::int64_t wanted = context_.gpu.multiprocessors * gpu_groups_per_multiprocessor;
    lanes_ = most_gpu_group;
    while (lanes_ > 8 && (pieces < 4 * lanes_ || tile_count * lanes_ > gpu_threads_per_multiprocessor *
                                                                           context_.gpu.multiprocessors)) {
      lanes_ /= 2;
    }
    chunks_ =
        std::clamp<std::int64_t>(wanted / tile_count, 1, std::max<std::int64_t>(pieces / (4 * lanes_), 1));
    rounds_ = std::max<std::int64_t>(tiles_of(pieces, chunks_ * lanes_), 1);
    chunks_ = std::max<std::int64_t>(tiles_of(pieces, rounds_ * lanes_), 1);
  }

  Local sum(std::int64_t f, std::int64_t c, std::int64_t k, std::int64_t l) const {
    return sums_[static_cast<std::size_t>(((f * tile_channels_ + c) * kernel_rows_ + k) * kernel_columns_ +
                                          l)];
  }

  void sum_tile(Index chunk, const std::vector<Index>& tile, std::int64_t pieces) {
    const Index filter = tile[1] * Index(tile_filters_), channel = tile[2] * Index(tile_channels_);
    const Index row = tile[3] * Index(kernel_rows_), column = tile[4] * Index(kernel_columns_);
    const ScalarValue zero = b_.constant(0, compute_dtype(p_.dtype));
    sums_.clear();
    for (std::int64_t i = 0; i < tile_filters_ * tile_channels_ * kernel_rows_ * kernel_columns_; ++i)
      sums_.push_back(b_.local("sum", zero));
    const std::vector<std::int64_t> extents{p_.batch, tiles_of(p_.out[0], rows_), p_.out[1]};
    if (pieces == 0) return store(chunk, tile[0], filter, channel, row, column);
    b_.loop("lane", 0, lanes_, vectorize, [&](Index lane) {
      b_.loop("round", 0, rounds_, [&](Index round) {
        const Index piece = (chunk * Index(rounds_) + round) * Index(lanes_) + lane;
        const auto add = [&] {
          add_piece(split_index(piece, extents), tile[0], filter, channel, row, column);
        };
        if (pieces % (rounds_ * lanes_) == 0) {
          add();
        } else {
          b_.branch(b_.compare(ScalarOp::lt, piece, pieces), add);
        }
      });
    });
    store(chunk, tile[0], filter, channel, row, column);
  }

  /// The products of some rows of a column of the output's gradient, at (image, tile of rows, column).
  void add_piece(const std::vector<Index>& at, Index group, Index filter, Index channel, Index kernel_row,
                 Index kernel_column) {
    const Index first = at[1] * Index(rows_);
    std::vector<ImageElement> columns;
    for (std::int64_t l = 0; l < kernel_columns_; ++l) {
      columns.push_back(image_element(b_,
                                      at[2] * Index(p_.stride[1]) - Index(p_.pad_lo[1]) +
                                          (kernel_column + Index(l)) * Index(p_.dilation[1]),
                                      p_.image[1]));
    }
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<ScalarValue>> loaded;  // channel, row
    const auto row_of = [&](std::int64_t c, std::int64_t y, std::int64_t k) -> std::vector<ScalarValue>& {
      const std::int64_t from_first = y * p_.stride[0] + k * p_.dilation[0];
      std::vector<ScalarValue>& row = loaded[{c, from_first}];
      if (!row.empty()) return row;
      const Index plane = at[0] * Index(p_.channels) + group * Index(channels_) +
                          inside(channel + Index(c), c, tile_channels_, channels_);
      const ImageElement element = image_element(
          b_,
          first * Index(p_.stride[0]) + kernel_row * Index(p_.dilation[0]) + Index(from_first - p_.pad_lo[0]),
          p_.image[0]);
      for (const ImageElement& column : columns)
        row.push_back(
            load_image(b_, first_, plane * Index(p_.image[0] * p_.image[1]), p_.image[1], element, column));
      return row;
    };
    // Everything that is read first, so that a thread waits for memory once.
    std::vector<ScalarValue> gradients;
    const std::int64_t rest = p_.out[0] % rows_;
    std::vector<Index> planes;
    for (std::int64_t f = 0; f < tile_filters_; ++f) {
      planes.push_back(at[0] * Index(p_.filters) + group * Index(filters_) +
                       inside(filter + Index(f), f, tile_filters_, filters_));
    }
    if (windows_.empty()) {
      for (std::int64_t y = 0; y < rows_; ++y) {
        const ImageElement row = image_element(b_, first + Index(y), p_.out[0]);
        for (const Index& plane : planes) {
          gradients.push_back(load_image(b_, second_, plane * Index(p_.out[0] * p_.out[1]), p_.out[1], row,
                                         {at[2], std::nullopt}));
        }
      }
    } else {
      gradients = gradients_of_maxima(planes, first, at[2]);
    }
    for (std::int64_t y = 0; y < rows_; ++y) {
      for (std::int64_t c = 0; c < tile_channels_; ++c) {
        for (std::int64_t k = 0; k < kernel_rows_; ++k) row_of(c, y, k);
      }
    }
    for (std::int64_t y = 0; y < rows_; ++y) {
      std::vector<std::vector<ScalarValue>> rows;
      for (std::int64_t c = 0; c < tile_channels_; ++c) {
        for (std::int64_t k = 0; k < kernel_rows_; ++k) rows.push_back(row_of(c, y, k));
      }
      const auto add = [&] {
        add_row(rows, std::span(gradients).subspan(static_cast<std::size_t>(y * tile_filters_)));
      };
      if (rest > 0 && y >= rest) {
        b_.branch(b_.compare(ScalarOp::lt, first + Index(y), p_.out[0]), add);
      } else {
        add();
      }
    }
  }

  /// Of rows from `first` on in a column: what the maximum of each element's window gets, where that is the
  /// element; otherwise 0.
  std::vector<ScalarValue> gradients_of_maxima(std::span<const Index> planes, Index first, Index column) {
    struct Window {
      ScalarValue share, place;
    };
    const std::int64_t down = p_.out[0] / windows_[0], across = p_.out[1] / windows_[1];
    const bool are_aligned = rows_ % windows_[0] == 0;  // rows of a piece with windows
    const ScalarValue in_window = b_.value_of(mod(column, windows_[1]), DType::int32);
    std::vector<ScalarValue> gradients;
    std::vector<Window> found;
    for (std::int64_t y = 0; y < rows_; ++y) {
      const Index row = first + Index(y);
      const bool is_new = !are_aligned || y % windows_[0] == 0;
      if (is_new) {
        found.clear();
        const ImageElement window = image_element(b_, floor_div(row, windows_[0]), down);
        for (const Index& plane : planes) {
          const Index in_plane = plane * Index(down * across);
          const ImageElement at{floor_div(column, windows_[1]), std::nullopt};
          found.push_back({load_image(b_, second_, in_plane, across, window, at),
                           b_.cast(load_image(b_, places_, in_plane, across, window, at), DType::int32)});
        }
      }
      const ScalarValue place = b_.emit(
          ScalarOp::add, b_.value_of(mod(row, windows_[0]) * Index(windows_[1]), DType::int32), in_window);
      for (const Window& window : found) {
        const ScalarValue hit = b_.emit(ScalarOp::eq, window.place, place);
        gradients.push_back(
            b_.emit(ScalarOp::select, hit, window.share, b_.constant(0, compute_dtype(p_.dtype))));
      }
    }
    return gradients;
  }

  /// A row of a piece: of the image a row for each channel and row of the window, of the gradient an element
  /// a filter.
  void add_row(const std::vector<std::vector<ScalarValue>>& rows, std::span<const ScalarValue> gradients) {
    for (std::int64_t f = 0; f < tile_filters_; ++f) {
      const ScalarValue g = gradients[static_cast<std::size_t>(f)];
      for (std::int64_t c = 0; c < tile_channels_; ++c) {
        for (std::int64_t k = 0; k < kernel_rows_; ++k) {
          const std::vector<ScalarValue>& elements = rows[static_cast<std::size_t>(c * kernel_rows_ + k)];
          for (std::int64_t l = 0; l < kernel_columns_; ++l) {
            b_.reduce(ScalarOp::add, sum(f, c, k, l),
                      b_.emit(ScalarOp::mul, elements[static_cast<std::size_t>(l)], g));
          }
        }
      }
    }
  }

  /// Number `offset` of a tile; where the last tile reaches beyond the extent, the last element again.
  static Index inside(Index at, std::int64_t offset, std::int64_t tile, std::int64_t extent) {
    return extent % tile == 0 || offset == 0 ? at : min(at, extent - 1);
  }

  void store(Index chunk, Index group, Index filter, Index channel, Index row, Index column) {
    for (std::int64_t f = 0; f < tile_filters_; ++f) {
      for (std::int64_t c = 0; c < tile_channels_; ++c) {
        for (std::int64_t k = 0; k < kernel_rows_; ++k) {
          for (std::int64_t l = 0; l < kernel_columns_; ++l) {
            const Index at_filter = filter + Index(f), at_channel = channel + Index(c);
            // Where the element lies in the window, whichever way the filters are written.
            const Index in_row = row + Index(k), in_column = column + Index(l);
            const Index at_row = p_.flip ? Index(p_.kernel[0] - 1) - in_row : in_row;
            const Index at_column = p_.flip ? Index(p_.kernel[1] - 1) - in_column : in_column;
            const Index weight = (((group * Index(filters_) + at_filter) * Index(channels_) + at_channel) *
                                      Index(p_.kernel[0]) +
                                  at_row) *
                                     Index(p_.kernel[1]) +
                                 at_column;
            std::optional<ScalarValue> exists;
            for (const auto& [at, extent] :
                 {std::pair(at_filter, filters_), std::pair(at_channel, channels_),
                  std::pair(in_row, p_.kernel[0]), std::pair(in_column, p_.kernel[1])}) {
              if (at.high() < extent) continue;
              exists = both(b_, exists, b_.compare(ScalarOp::lt, at, extent));
            }
            const Buffer to = chunks_ > 1 ? partial_ : result_;
            const Index place = chunks_ > 1 ? chunk * Index(p_.filter_shape().count()) + weight : weight;
            b_.store(to, place, b_.get(sum(f, c, k, l)), exists);
          }
        }
      }
    }
  }

  void add_partials(std::int64_t weights) {
    b_.parallel(
        "w", weights,
        [&](Index w) {
          const Local total = b_.local("total", b_.constant(0, partial_.dtype));
          b_.loop("chunk", 0, chunks_, [&](Index chunk) {
            b_.reduce(ScalarOp::add, total, b_.load(partial_, chunk * Index(weights) + w));
          });
          b_.store(result_, w, b_.get(total));
        },
        vectorize);
  }

  const Shape windows_;  // of maxima whose gradient is given; empty: every element's is
  Buffer places_;
  std::int64_t tile_filters_ = 1, tile_channels_ = 1, kernel_rows_ = 1, kernel_columns_ = 1, rows_ = 1;
  std::int64_t lanes_ = 1, chunks_ = 1, rounds_ = 1;
  Buffer partial_;
  std::vector<Local> sums_;
};

}  // namespace

NodeCode lower_conv_weights_on_gpu(const LowerContext& context, const ConvProblem& problem) {
  return WeightsGradient(context, problem).lower();
}

}  // namespace croton
