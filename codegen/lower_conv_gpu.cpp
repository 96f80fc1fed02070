// Direct convolutions on a GPU. A thread has a tile of the result in registers: some rows of a column, of
// some filters; so each source element and each weight that it reads serves several products. Threads side by
// side have neighbouring columns. That suits convolutions of few channels a group, which are bound by memory;
// where there are many, products of matrices read less.

#include <algorithm>
#include <map>

#include "croton/codegen/lower_conv_gpu.h"
#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

// Accumulators that stay in registers beside the source elements in use.
constexpr std::int64_t most_gpu_results = 40;
constexpr std::int64_t most_gpu_rows_of_conv = 12;
// Threads a multiprocessor below which smaller tiles are worth more than fewer accesses.
constexpr std::int64_t least_gpu_conv_threads = 512;
// Code written out: taps of a column of the kernel, and products in all.
constexpr std::int64_t most_gpu_row_taps = 16;
constexpr std::int64_t most_gpu_products = 2000;

ScalarValue product_sum(KernelBuilder& b, ScalarValue x, ScalarValue y, ScalarValue sum) {
  return b.emit(ScalarOp::add, sum, b.emit(ScalarOp::mul, x, y));
}

/// Results and rows of a thread.
struct ResultTile {
  std::int64_t results = 1, rows = 1;
};

/// The fewest accesses a product, of tiles that leave enough threads.
ResultTile choose_tile(const Correlation& c, const AxisPhase& rows, const AxisPhase& columns,
                       int multiprocessors) {
  const std::int64_t taps = std::clamp<std::int64_t>(rows.taps, 1, most_gpu_row_taps);
  const std::int64_t most = c.dtype == DType::float64 ? most_gpu_results / 2 : most_gpu_results;
  ResultTile best;
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t r = 1; r <= std::min(rows.count, most_gpu_rows_of_conv); ++r) {
    std::map<std::int64_t, int> needed;
    for (std::int64_t q = 0; q < r; ++q) {
      for (std::int64_t k = 0; k < taps; ++k) ++needed[q * rows.stride + k * rows.offset_step];
    }
    for (std::int64_t f = 1; f <= c.results && f * r <= most; ++f) {
      const std::int64_t tiles = tiles_of(c.results, f) * tiles_of(rows.count, r);
      const auto threads = static_cast<double>(c.batch * c.groups * tiles * columns.count);
      const double few = std::max(
          1.0, static_cast<double>(least_gpu_conv_threads * multiprocessors) / std::max(threads, 1.0));
      const double waste = static_cast<double>(tiles * f * r) / static_cast<double>(c.results * rows.count);
      const double accesses = static_cast<double>(static_cast<std::int64_t>(needed.size()) + taps * f) /
                              static_cast<double>(taps * f * r);
      // Beside its accesses a thread has its products to do.
      const double cost = (accesses + 0.25) * waste * few;
      if (cost < least) {
        least = cost;
        best = {f, r};
      }
    }
  }
  return best;
}

/// One phase of a correlation.
class CorrelationPhase {
 public:
  CorrelationPhase(NodeKernel& kernel, const Correlation& c, const AxisPhase& rows, const AxisPhase& columns,
                   bool is_forward, int multiprocessors)
      : b_(kernel.builder()),
        c_(c),
        rows_(rows),
        columns_(columns),
        tile_(choose_tile(c, rows, columns, multiprocessors)),
        source_(kernel.input(is_forward ? 0 : 1)),
        weights_(kernel.input(is_forward ? 1 : 0)),
        result_(kernel.output(0)) {}

  void lower() {
    const std::int64_t result_tiles = tiles_of(c_.results, tile_.results),
                       row_tiles = tiles_of(rows_.count, tile_.rows);
    const std::vector<std::int64_t> extents{c_.batch, c_.groups, result_tiles, row_tiles, columns_.count};
    std::int64_t count = 1;
    for (const std::int64_t extent : extents) count *= extent;
    b_.parallel("e", count, [&](Index e) { body(split_index(e, extents)); }, vectorize);
  }

 private:
  Local& sum(std::int64_t f, std::int64_t r) { return sums_[static_cast<std::size_t>(f * tile_.rows + r)]; }

  void body(const std::vector<Index>& at) {
    const Index first_result = at[2] * Index(tile_.results);
    first_row_ = at[3] * Index(tile_.rows);
    x_ = at[4];
    // Beyond the last result the last one is computed again.
    const bool is_even = c_.results % tile_.results == 0;
    results_.clear();
    for (std::int64_t f = 0; f < tile_.results; ++f) {
      const Index result = first_result + Index(f);
      results_.push_back(is_even || f == 0 ? result : min(result, c_.results - 1));
    }
    const ScalarValue zero = b_.constant(0, compute_dtype(c_.dtype));
    sums_.clear();
    for (std::int64_t i = 0; i < tile_.results * tile_.rows; ++i) sums_.push_back(b_.local("sum", zero));
    const Index plane = at[0] * Index(c_.groups) + at[1];
    b_.loop("c", 0, c_.sources, [&](Index channel) {
      const Index source = (plane * Index(c_.sources) + channel) * Index(c_.rows.source * c_.columns.source);
      const Index weight =
          Index(c_.weights.base) + at[1] * Index(c_.weights.group) + channel * Index(c_.weights.source);
      taps(source, weight);
    });
    store(plane, first_result);
  }

  void taps(Index source, Index weight) {
    const bool has_all_rows = rows_.taps <= most_gpu_row_taps;
    const std::int64_t products = columns_.taps * rows_.taps * tile_.results * tile_.rows;
    const auto for_column = [&](Index l) {
      if (has_all_rows) {
        accumulate(source, weight, 0, rows_.taps, l);
      } else {
        b_.loop("k", 0, rows_.taps, [&](Index k) { accumulate(source, weight, k, 1, l); });
      }
    };
    if (has_all_rows && products <= most_gpu_products) {
      for (std::int64_t l = 0; l < columns_.taps; ++l) for_column(Index(l));
    } else {
      b_.loop("l", 0, columns_.taps, for_column);
    }
  }

  /// The products of `count` taps of the rows from `k` on with tap l of the columns.
  void accumulate(Index source, Index weight, Index k, std::int64_t count, Index l) {
    const ImageElement column = image_element(
        b_, x_ * Index(columns_.stride) + Index(columns_.offset) + l * Index(columns_.offset_step),
        c_.columns.source);
    std::map<std::int64_t, ScalarValue> loaded;  // by the row, from the tile's first one on
    const auto source_at = [&](std::int64_t r, std::int64_t tap) {
      const std::int64_t from_first = r * rows_.stride + tap * rows_.offset_step;
      const auto [entry, is_new] = loaded.try_emplace(from_first);
      if (is_new) {
        const Index at = first_row_ * Index(rows_.stride) + k * Index(rows_.offset_step) +
                         Index(rows_.offset + from_first);
        entry->second =
            load_image(b_, source_, source, c_.columns.source, image_element(b_, at, c_.rows.source), column);
      }
      return entry->second;
    };
    for (std::int64_t tap = 0; tap < count; ++tap) {
      const Index kernel_row = Index(rows_.kernel + tap * rows_.kernel_step) + k * Index(rows_.kernel_step);
      const Index kernel_column = Index(columns_.kernel) + l * Index(columns_.kernel_step);
      for (std::int64_t f = 0; f < tile_.results; ++f) {
        const ScalarValue w = b_.load(
            weights_, weight + results_[static_cast<std::size_t>(f)] * Index(c_.weights.result) +
                          kernel_row * Index(c_.weights.row) + kernel_column * Index(c_.weights.column));
        for (std::int64_t r = 0; r < tile_.rows; ++r) {
          const Local to = sum(f, r);
          b_.set(to, product_sum(b_, source_at(r, tap), w, b_.get(to)));
        }
      }
    }
  }

  void store(Index plane, Index first_result) {
    const std::int64_t rest = rows_.count % tile_.rows, filters_left = c_.results % tile_.results;
    const Index column = x_ * Index(columns_.step) + Index(columns_.first);
    for (std::int64_t f = 0; f < tile_.results; ++f) {
      for (std::int64_t r = 0; r < tile_.rows; ++r) {
        const Index q = first_row_ + Index(r);
        const Index row = q * Index(rows_.step) + Index(rows_.first);
        const Index at =
            ((plane * Index(c_.results) + first_result + Index(f)) * Index(c_.rows.result) + row) *
                Index(c_.columns.result) +
            column;
        std::optional<ScalarValue> exists;
        if (rest > 0 && r >= rest) exists = b_.compare(ScalarOp::lt, q, rows_.count);
        if (filters_left > 0 && f >= filters_left) {
          const ScalarValue is_filter = b_.compare(ScalarOp::lt, first_result + Index(f), c_.results);
          exists = both(b_, exists, is_filter);
        }
        b_.store(result_, at, b_.get(sum(f, r)), exists);
      }
    }
  }

  KernelBuilder& b_;
  const Correlation& c_;
  const AxisPhase &rows_, &columns_;
  const ResultTile tile_;
  const Buffer source_, weights_, result_;
  Index first_row_, x_;
  std::vector<Index> results_;
  std::vector<Local> sums_;
};

}  // namespace

ImageElement image_element(KernelBuilder& b, Index at, std::int64_t extent) {
  ImageElement element{at, std::nullopt};
  if (at.low() < 0) element.exists = b.compare(ScalarOp::ge, at, 0);
  if (at.high() >= extent) element.exists = both(b, element.exists, b.compare(ScalarOp::lt, at, extent));
  return element;
}

std::optional<ScalarValue> both(KernelBuilder& b, const std::optional<ScalarValue>& x,
                                const std::optional<ScalarValue>& y) {
  if (!x || !y) return x ? x : y;
  return b.emit(ScalarOp::bit_and, *x, *y);
}

ScalarValue load_image(KernelBuilder& b, Buffer image, Index plane, std::int64_t pitch,
                       const ImageElement& row, const ImageElement& column) {
  const Index at = plane + row.at * Index(pitch) + column.at;
  const std::optional<ScalarValue> exists = both(b, row.exists, column.exists);
  return exists ? b.load(image, at, exists, b.constant(0, compute_dtype(image.dtype))) : b.load(image, at);
}

NodeCode lower_conv_on_gpu(const LowerContext& context, const Correlation& c) {
  NodeKernel kernel(context, "conv");
  const bool is_forward = context.node.attributes().get<std::string>("direction") == "forward";
  for (const AxisPhase& rows : c.rows.phases) {
    for (const AxisPhase& columns : c.columns.phases) {
      if (c.batch * c.groups * c.results * rows.count * columns.count == 0) continue;
      CorrelationPhase(kernel, c, rows, columns, is_forward, context.gpu.multiprocessors).lower();
    }
  }
  return kernel.finish();
}

}  // namespace croton
