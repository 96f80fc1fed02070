#include <algorithm>
#include <cmath>

#include "croton/codegen/flat_image.h"
#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

/// One image at a time: lanes are neighbouring positions of the result.
class FlatLanes {
 public:
  FlatLanes(const LowerContext& context, const Correlation& correlation, const ConvTuning& tuning)
      : context_(context),
        c_(correlation),
        tuning_(tuning),
        kernel_(context, "conv_flat_lanes"),
        b_(kernel_.builder()),
        tile_(flat_lanes_tile(c_, tuning)) {
    const bool is_forward = context.node.attributes().get<std::string>("direction") == "forward";
    source_ = kernel_.input(is_forward ? 0 : 1);
    weights_ = kernel_.input(is_forward ? 1 : 0);
    result_ = kernel_.output(0);
    flat_.rows = flat_axis(c_.rows);
    flat_.columns = flat_axis(c_.columns);
    flat_.channels = c_.sources;
    width_ = conv_lanes(c_.dtype) * tile_.positions;
    filter_tiles_ = split_evenly(c_.results, tile_.results);
    for (const AxisPhase& rows : c_.rows.phases) {
      for (const AxisPhase& columns : c_.columns.phases) {
        longest_ = std::max(longest_, tiles_of(rows, columns));
      }
    }
  }

  NodeCode lower() {
    const std::int64_t image = (flat_.size(width_) + 15) / 16 * 16;
    tasks_ = conv_tasks(c_.batch, c_.groups, longest_, image, tuning_.openmp ? context_.threads : 1);
    const std::int64_t strip = tile_.results * width_ * tiles_of_part();
    image_ = kernel_.scratch(c_.dtype, tasks_.count() * image);
    strip_ = kernel_.scratch(c_.dtype, tasks_.count() * strip);
    const auto body = [&](Index task) {
      const Index chunk = floor_div(task, tasks_.parts);
      part_ = mod(task, tasks_.parts);
      image_base_ = task * Index(image);
      strip_base_ = task * Index(strip);
      b_.loop("i", 0, image, vectorize,
              [&](Index i) { b_.store(image_, image_base_ + i, b_.constant(0, compute_dtype(c_.dtype))); });
      const Index first = chunk * Index(tasks_.per_chunk);
      b_.loop("image", first, min(first + Index(tasks_.per_chunk), c_.batch), [&](Index n) {
        const auto [first_group, last_group] = groups_of(tasks_, part_, c_.groups);
        b_.loop("group", first_group, last_group, [&](Index group) {
          b_.loop("channel", 0, c_.sources, [&](Index channel) {
            const Index source = (n * Index(c_.groups) + group) * Index(c_.sources) + channel;
            load_flat_channel(b_, flat_, image_,
                              image_base_ + channel * Index(flat_.planes() * flat_.plane()), source_,
                              source * Index(c_.rows.source * c_.columns.source));
          });
          const TileSplit& split = filter_tiles_;
          filters(n, group, 0, split.large, split.size + 1);
          filters(n, group, split.large * (split.size + 1), split.small, split.size);
        });
      });
    };
    if (tuning_.openmp) {
      b_.parallel("task", tasks_.count(), body, serial, 1);
    } else {
      b_.once([&] { b_.loop("task", 0, tasks_.count(), body); });
    }
    return kernel_.finish();
  }

 private:
  std::int64_t run_of(const AxisPhase& rows, const AxisPhase& columns) const {
    return flat_.run(rows.count, columns.count);
  }
  std::int64_t tiles_of(const AxisPhase& rows, const AxisPhase& columns) const {
    return (run_of(rows, columns) + width_ - 1) / width_;
  }
  bool has_parts_of_runs() const { return tasks_.parts > 1 && !tasks_.has_parts_of_groups; }
  std::int64_t tiles_of_part() const {
    return has_parts_of_runs() ? (longest_ + tasks_.parts - 1) / tasks_.parts : longest_;
  }

  void filters(Index n, Index group, std::int64_t begin, std::int64_t tiles, std::int64_t count) {
    if (tiles == 0) return;
    b_.loop("filters", 0, tiles, [&](Index tile) {
      const Index first = Index(begin) + tile * Index(count);
      for (const AxisPhase& rows : c_.rows.phases) {
        for (const AxisPhase& columns : c_.columns.phases) {
          if (run_of(rows, columns) > 0) run(n, group, first, count, rows, columns);
        }
      }
    });
  }

  /// The results of one phase of rows and columns: this part's share of the run.
  void run(Index n, Index group, Index first, std::int64_t count, const AxisPhase& rows,
           const AxisPhase& columns) {
    const auto [from, to] = share_of(tasks_, part_, tiles_of(rows, columns));
    const std::int64_t pitch = tiles_of_part() * width_;
    b_.loop("tile", from, to, [&](Index tile) {
      const Index strip = strip_base_ + (tile - from) * Index(width_);
      b_.loop("lane", 0, width_ / tile_.positions, vectorize.by(1), [&](Index lane) {
        sum(group, first, count, rows, columns, tile * Index(width_) + lane, strip + lane, pitch);
      });
    });
    // Only what lies in a row.
    const Index begin = from * Index(width_), end = min(to * Index(width_), run_of(rows, columns));
    const Index first_row = floor_div(begin, flat_.pitch());
    const Index last_row = floor_div(end + Index(flat_.pitch() - 1), flat_.pitch());
    const std::int64_t plane = c_.rows.result * c_.columns.result;
    b_.loop("filter", 0, count, [&](Index f) {
      const Index image = ((n * Index(c_.groups) + group) * Index(c_.results) + first + f) * Index(plane);
      b_.loop("row", first_row, last_row, [&](Index y) {
        const Index at = y * Index(flat_.pitch());
        const Index low = has_parts_of_runs() ? max(begin - at, 0) : Index(0);
        const Index high = has_parts_of_runs() ? min(end - at, columns.count) : Index(columns.count);
        b_.loop("column", low, high, vectorize, [&](Index x) {
          const Index goal = image + (y * Index(rows.step) + Index(rows.first)) * Index(c_.columns.result) +
                             x * Index(columns.step) + Index(columns.first);
          b_.store(result_, goal, b_.load(strip_, strip_base_ + f * Index(pitch) + at - begin + x));
        });
      });
    });
  }

  void sum(Index group, Index first, std::int64_t count, const AxisPhase& rows, const AxisPhase& columns,
           Index position, Index strip, std::int64_t pitch) {
    const DType dtype = compute_dtype(c_.dtype);
    const std::int64_t vectors = tile_.positions, lanes = width_ / vectors;
    std::vector<Local> sums;
    for (std::int64_t i = 0; i < count * vectors; ++i) {
      sums.push_back(b_.local("sum", b_.constant(0, dtype)));
    }
    const LoopMark mark = tuning_.unroll_patch.value_or(columns.taps <= most_unrolled_taps) ? unroll : serial;
    b_.loop("channel", 0, rows.taps == 0 || columns.taps == 0 ? 0 : c_.sources, [&](Index channel) {
      const Index image = image_base_ + position + channel * Index(flat_.planes() * flat_.plane());
      const Index weights = Index(c_.weights.base) + group * Index(c_.weights.group) +
                            first * Index(c_.weights.result) + channel * Index(c_.weights.source);
      for (const TapGroup& r : tap_groups(flat_.rows, rows)) {
        b_.loop("tap", 0, r.count, [&](Index i) {
          const Index row_tap =
              Index(rows.kernel + r.tap * rows.kernel_step) + i * Index(r.tap_step * rows.kernel_step);
          const Index row = Index(r.plane * flat_.columns.planes * flat_.plane() + r.offset * flat_.pitch()) +
                            i * Index(r.offset_step * flat_.pitch());
          for (const TapGroup& c : tap_groups(flat_.columns, columns)) {
            b_.loop("column_tap", 0, c.count, mark, [&](Index j) {
              const Index column_tap = Index(columns.kernel + c.tap * columns.kernel_step) +
                                       j * Index(c.tap_step * columns.kernel_step);
              const Index at =
                  image + row + Index(c.plane * flat_.plane() + c.offset) + j * Index(c.offset_step);
              std::vector<ScalarValue> x;
              for (std::int64_t v = 0; v < vectors; ++v) x.push_back(b_.load(image_, at + Index(v * lanes)));
              for (std::int64_t f = 0; f < count; ++f) {
                const ScalarValue w = b_.load(weights_, weights + Index(f * c_.weights.result) +
                                                            row_tap * Index(c_.weights.row) +
                                                            column_tap * Index(c_.weights.column));
                for (std::int64_t v = 0; v < vectors; ++v) {
                  const Local sum = sums[static_cast<std::size_t>(f * vectors + v)];
                  b_.set(sum, b_.emit(ScalarOp::fma, x[static_cast<std::size_t>(v)], w, b_.get(sum)));
                }
              }
            });
          }
        });
      }
    });
    for (std::int64_t f = 0; f < count; ++f) {
      for (std::int64_t v = 0; v < vectors; ++v) {
        b_.store(strip_, strip + Index(f * pitch + v * lanes),
                 b_.get(sums[static_cast<std::size_t>(f * vectors + v)]));
      }
    }
  }

  const LowerContext& context_;
  const Correlation& c_;
  const ConvTuning& tuning_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  ConvTile tile_;
  FlatImage flat_;
  std::int64_t width_ = 16, longest_ = 0;
  TileSplit filter_tiles_;
  ConvTasks tasks_;
  Buffer source_, weights_, result_, image_, strip_;
  Index image_base_, strip_base_, part_;
};

/// Cycles of a kernel element and channel for all results of an image: a vector that is not aligned costs two
/// loads.
double tap_cycles(const Correlation& c, std::int64_t run, std::int64_t results, std::int64_t vectors) {
  const std::int64_t width = conv_lanes(c.dtype) * vectors;
  const double tiles = static_cast<double>((run + width - 1) / width);
  double cycles = 0;
  const TileSplit split = split_evenly(c.results, results);
  for (const auto& [count, size] :
       {std::pair(split.large, split.size + 1), std::pair(split.small, split.size)}) {
    const auto work = static_cast<double>(size * vectors), loads = static_cast<double>(size + 2 * vectors);
    cycles += static_cast<double>(count) * tiles * (std::max({work, loads, 4.5}) + 0.1 * loads);
  }
  return cycles;
}

template <class F>
void for_each_run(const Correlation& c, const F& f) {
  const FlatImage flat{flat_axis(c.rows), flat_axis(c.columns), 0};
  for (const AxisPhase& rows : c.rows.phases) {
    for (const AxisPhase& columns : c.columns.phases) {
      f(flat.run(rows.count, columns.count), rows.taps * columns.taps);
    }
  }
}

double cycles_of(const Correlation& c, const ConvTile& tile) {
  double cycles =
      flat_axis(c.columns).planes == 1 ? 0 : strided_element_cycles * static_cast<double>(c.source_image());
  for_each_run(c, [&](std::int64_t run, std::int64_t taps) {
    // Moving the results of a tile costs about as much as three taps.
    cycles += static_cast<double>(c.groups) * static_cast<double>(c.sources * taps + 3) *
              tap_cycles(c, run, tile.results, tile.positions);
  });
  return cycles;
}

}  // namespace

ConvTile flat_lanes_tile(const Correlation& c, const ConvTuning& tuning) {
  ConvTile best;
  double least = INFINITY;
  for (std::int64_t results = 1; results <= std::clamp<std::int64_t>(c.results, 1, 16); ++results) {
    for (std::int64_t vectors = 1; vectors <= 6; ++vectors) {
      if (results * vectors + vectors + 1 > conv_registers) continue;
      if (tuning.unroll_kern &&
          results !=
              std::clamp<std::int64_t>(*tuning.unroll_kern, 1,
                                       std::min<std::int64_t>(16, std::max<std::int64_t>(1, c.results))))
        continue;
      const double cycles = cycles_of(c, {results, vectors});
      if (cycles < least) {
        least = cycles;
        best = {results, vectors};
      }
    }
  }
  return best;
}

double flat_lanes_cycles(const Correlation& correlation, const ConvTuning& tuning) {
  return static_cast<double>(correlation.batch) *
         cycles_of(correlation, flat_lanes_tile(correlation, tuning));
}

NodeCode lower_conv_flat_lanes(const LowerContext& context, const Correlation& correlation,
                               const ConvTuning& tuning) {
  return FlatLanes(context, correlation, tuning).lower();
}

}  // namespace croton
