#include <map>

#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

// Rows of results side by side: each element of the source that is fetched serves the taps of all of them.
constexpr std::int64_t depthwise_rows = 4;
// So many weights, or sums, stay in registers beside the rows and a vector of the source.
constexpr std::int64_t most_depthwise_taps = conv_registers - 1 - depthwise_rows;

bool is_forward_or_inputs(const ConvProblem& p) { return p.direction != ConvDirection::backward_weights; }

/// The correlation of the source with the weights; for backward_weights the forward one.
Correlation correlation_with_weights(const ConvProblem& problem) {
  ConvProblem p = problem;
  if (!is_forward_or_inputs(p)) p.direction = ConvDirection::forward;
  return correlation_of(p);
}

/// Columns that lanes run over: those of the gradient for backward_weights.
std::int64_t result_columns(const ConvProblem& p) {
  return p.direction == ConvDirection::backward_inputs ? p.image[1] : p.out[1];
}

/// Every plane by itself: the source plane is laid out with zeros around it in memory that stays in the
/// first-level cache; lanes are neighbouring columns of a row, a tile is some rows below each other.
class Depthwise {
 public:
  Depthwise(const LowerContext& context, const ConvProblem& problem, const ConvTuning& tuning)
      : context_(context),
        p_(problem),
        tuning_(tuning),
        kernel_(context, is_forward_or_inputs(p_) ? "conv_depthwise" : "conv_weights_depthwise"),
        b_(kernel_.builder()),
        c_(correlation_with_weights(p_)),
        dtype_(compute_dtype(p_.dtype)),
        lanes_(conv_lanes(p_.dtype)),
        rows_(c_.rows.phases[0]),
        columns_(c_.columns.phases[0]),
        row_tiles_(split_evenly(rows_.count, depthwise_rows)) {
    // Lanes behind the end of a row read and write zeros.
    vectors_ = (columns_.count + lanes_ - 1) / lanes_;
    const std::int64_t extent = c_.columns.highest() - c_.columns.lowest() + 1;
    pitch_ = (extent + 2 * lanes_ - 1) / lanes_ * lanes_;
    plane_size_ = (c_.rows.highest() - c_.rows.lowest() + 1) * pitch_;
  }

  NodeCode forward_or_inputs() {
    const bool is_forward = p_.direction == ConvDirection::forward;
    source_ = kernel_.input(is_forward ? 0 : 1);
    weights_ = kernel_.input(is_forward ? 1 : 0);
    result_ = kernel_.output(0);
    for_each_share(c_.batch * c_.groups, [&](Index first, Index last) {
      b_.loop("plane", first, last, [&](Index plane) {
        load_plane(plane);
        correlate(plane);
      });
    });
    return kernel_.finish();
  }

  NodeCode weights() {
    source_ = kernel_.input(0);
    gradient_ = kernel_.input(1);
    result_ = kernel_.output(0);
    sums_ = kernel_.scratch(dtype_, c_.groups * p_.kernel.count() * lanes_);
    for_each_share(c_.groups, [&](Index first, Index last) {
      b_.loop("sum", sum_place(first, 0), sum_place(last, 0), vectorize,
              [&](Index i) { b_.store(sums_, i, b_.constant(0, dtype_)); });
      b_.loop("image", 0, c_.batch, [&](Index n) {
        b_.loop("channel", first, last, [&](Index channel) {
          const Index plane = n * Index(c_.groups) + channel;
          load_plane(plane);
          accumulate(plane, channel);
        });
      });
      b_.loop("channel", first, last, [&](Index channel) { add_lanes(channel); });
    });
    return kernel_.finish();
  }

 private:
  /// A row of results of a tile and the tap with which it reads a row of the source.
  struct RowUse {
    std::int64_t row, tap;
  };

  /// Shares of a range to all threads, each with a plane of its own.
  template <class F>
  void for_each_share(std::int64_t extent, const F& f) {
    const ConvTasks tasks = conv_tasks(extent, 1, 1, plane_size_, tuning_.openmp ? context_.threads : 1);
    plane_ = kernel_.scratch(dtype_, tasks.count() * plane_size_);
    const auto body = [&](Index task) {
      plane_base_ = task * Index(plane_size_);
      b_.loop("i", 0, plane_size_, vectorize,
              [&](Index i) { b_.store(plane_, plane_base_ + i, b_.constant(0, dtype_)); });
      const Index first = task * Index(tasks.per_chunk);
      f(first, min(first + Index(tasks.per_chunk), extent));
    };
    if (tuning_.openmp) {
      b_.parallel("task", tasks.count(), body, serial, 1);
    } else {
      b_.once([&] { b_.loop("task", 0, tasks.count(), body); });
    }
  }

  void load_plane(Index plane) {
    const std::int64_t width = c_.columns.source;
    const Index from = plane * Index(c_.rows.source * width);
    const Index to = plane_base_ + Index(-c_.rows.lowest() * pitch_ - c_.columns.lowest());
    b_.loop("row", 0, c_.rows.source, [&](Index row) {
      copy_in_vectors(b_, plane_, to + row * Index(pitch_), source_, from + row * Index(width), width,
                      lanes_);
    });
  }

  /// f(first row, rows) for every tile of rows of results.
  template <class F>
  void each_row_tile(const F& f) {
    const auto tiles = [&](std::int64_t count, std::int64_t size, std::int64_t begin) {
      if (count == 0) return;
      b_.loop("rows", 0, count, [&](Index tile) { f(Index(begin) + tile * Index(size), size); });
    };
    tiles(row_tiles_.large, row_tiles_.size + 1, 0);
    tiles(row_tiles_.small, row_tiles_.size, row_tiles_.large * (row_tiles_.size + 1));
  }

  /// Which results of a tile read each row of the plane, counted from the first row of the tile.
  std::map<std::int64_t, std::vector<RowUse>> uses_of_rows(std::int64_t rows) const {
    std::map<std::int64_t, std::vector<RowUse>> uses;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t tap = 0; tap < rows_.taps; ++tap) {
        uses[row + rows_.offset + tap * rows_.offset_step - c_.rows.lowest()].push_back({row, tap});
      }
    }
    return uses;
  }

  ScalarValue load_source(Index row, Index column, std::int64_t column_tap) {
    const std::int64_t shift = columns_.offset + column_tap * columns_.offset_step - c_.columns.lowest();
    return b_.load(plane_, plane_base_ + row * Index(pitch_) + column + Index(shift));
  }

  Index weight_place(Index group, std::int64_t row_tap, std::int64_t column_tap) const {
    const Correlation::Weights& w = c_.weights;
    return group * Index(w.group) + Index(w.base + (rows_.kernel + row_tap * rows_.kernel_step) * w.row +
                                          (columns_.kernel + column_tap * columns_.kernel_step) * w.column);
  }

  void correlate(Index plane) {
    const Index group = mod(plane, c_.groups);
    std::vector<ScalarValue> weights;
    for (std::int64_t k = 0; k < rows_.taps; ++k) {
      for (std::int64_t l = 0; l < columns_.taps; ++l)
        weights.push_back(b_.load(weights_, weight_place(group, k, l)));
    }
    const Index result = plane * Index(c_.rows.result * c_.columns.result);
    each_row_tile([&](Index first, std::int64_t rows) {
      b_.loop("column", 0, columns_.count, vectorize.by(1), [&](Index column) {
        std::vector<Local> sums;
        for (std::int64_t i = 0; i < rows; ++i) sums.push_back(b_.local("sum", b_.constant(0, dtype_)));
        for (const auto& [row, uses] : uses_of_rows(rows)) {
          for (std::int64_t l = 0; l < columns_.taps; ++l) {
            const ScalarValue source = load_source(first + Index(row), column, l);
            for (const RowUse& use : uses) {
              const Local sum = sums[static_cast<std::size_t>(use.row)];
              const ScalarValue weight = weights[static_cast<std::size_t>(use.tap * columns_.taps + l)];
              b_.set(sum, b_.emit(ScalarOp::fma, source, weight, b_.get(sum)));
            }
          }
        }
        for (std::int64_t i = 0; i < rows; ++i) {
          b_.store(result_, result + (first + Index(i)) * Index(columns_.count) + column,
                   b_.get(sums[static_cast<std::size_t>(i)]));
        }
      });
    });
  }

  /// Where the sum of a tap lies, lanes apart.
  Index sum_place(Index channel, std::int64_t tap) const {
    return (channel * Index(p_.kernel.count()) + Index(tap)) * Index(lanes_);
  }

  /// Adds what a plane contributes to the weights of its channel.
  void accumulate(Index plane, Index channel) {
    const Index gradient = plane * Index(rows_.count * columns_.count);
    b_.loop("lane", 0, lanes_, vectorize.by(1), [&](Index lane) {
      std::vector<Local> sums;
      for (std::int64_t tap = 0; tap < p_.kernel.count(); ++tap)
        sums.push_back(b_.local("sum", b_.load(sums_, sum_place(channel, tap) + lane)));
      each_row_tile([&](Index first, std::int64_t rows) {
        for (std::int64_t vector = 0; vector < vectors_; ++vector) {
          const Index column = lane + Index(vector * lanes_);
          std::vector<ScalarValue> gradients;
          for (std::int64_t i = 0; i < rows; ++i)
            gradients.push_back(load_gradient(gradient + (first + Index(i)) * Index(columns_.count), column));
          for (const auto& [row, uses] : uses_of_rows(rows)) {
            for (std::int64_t l = 0; l < columns_.taps; ++l) {
              const ScalarValue source = load_source(first + Index(row), column, l);
              for (const RowUse& use : uses) {
                const Local sum = sums[static_cast<std::size_t>(use.tap * columns_.taps + l)];
                b_.set(sum, b_.emit(ScalarOp::fma, source, gradients[static_cast<std::size_t>(use.row)],
                                    b_.get(sum)));
              }
            }
          }
        }
      });
      for (std::size_t tap = 0; tap < sums.size(); ++tap)
        b_.store(sums_, sum_place(channel, static_cast<std::int64_t>(tap)) + lane, b_.get(sums[tap]));
    });
  }

  /// Zeros behind the end of the row.
  ScalarValue load_gradient(Index row, Index column) {
    if (vectors_ * lanes_ == columns_.count) return b_.load(gradient_, row + column);
    return b_.load(gradient_, row + column, b_.compare(ScalarOp::lt, column, columns_.count),
                   b_.constant(0, dtype_));
  }

  void add_lanes(Index channel) {
    for (std::int64_t k = 0; k < rows_.taps; ++k) {
      for (std::int64_t l = 0; l < columns_.taps; ++l) {
        const Index sums = sum_place(channel, k * columns_.taps + l);
        const Local total = b_.local("total", b_.constant(0, dtype_));
        b_.loop("lane", 0, lanes_, vectorize.by(1),
                [&](Index lane) { b_.reduce(ScalarOp::add, total, b_.load(sums_, sums + lane)); });
        b_.store(result_, weight_place(channel, k, l), b_.get(total));
      }
    }
  }

  const LowerContext& context_;
  const ConvProblem& p_;
  const ConvTuning& tuning_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  Correlation c_;
  DType dtype_;
  std::int64_t lanes_;
  AxisPhase rows_, columns_;
  TileSplit row_tiles_;
  std::int64_t vectors_ = 0, pitch_ = 0, plane_size_ = 0;
  Buffer source_, weights_, gradient_, result_, plane_, sums_;
  Index plane_base_;
};

}  // namespace

bool has_depthwise_loops(const ConvProblem& p, int threads) {
  if (!p.is_depthwise() || p.has_strides()) return false;
  if (p.image_shape().count() == 0 || p.out_shape().count() == 0) return false;
  // A plane is one thread's, and so are all of a filter's gradient.
  if ((is_forward_or_inputs(p) ? p.batch * p.groups : p.groups) < threads) return false;
  // Lanes behind the end of a row do nothing.
  const std::int64_t lanes = conv_lanes(p.dtype), count = result_columns(p);
  if (2 * count < (count + lanes - 1) / lanes * lanes) return false;
  return p.kernel.count() > 0 && p.kernel.count() <= most_depthwise_taps;
}

NodeCode lower_conv_depthwise(const LowerContext& context, const ConvProblem& problem,
                              const ConvTuning& tuning) {
  Depthwise depthwise(context, problem, tuning);
  return is_forward_or_inputs(problem) ? depthwise.forward_or_inputs() : depthwise.weights();
}

}  // namespace croton
