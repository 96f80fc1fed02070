#include <algorithm>
#include <cmath>
#include <functional>

#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

// Tiles at an edge get code of their own, with only the taps that meet the image; beyond so many of them
// zeros are laid around the image instead.
constexpr std::int64_t most_edge_tiles = 6;
// Results of a strip of rows are gathered in this many bytes before they are transposed back.
constexpr std::int64_t strip_bytes = 32 * 1024;

struct TileChoice {
  ConvTile tile;
  double cycles = INFINITY;  // of a block of images, a kernel row and a source channel
};

/// Accumulators that keep the multipliers busy and waste little at the ends.
TileChoice choose_tile(const Correlation& c, const ConvTuning& tuning) {
  std::int64_t widest = 1;
  for (const AxisPhase& p : c.columns.phases) widest = std::max(widest, p.count);
  TileChoice best;
  const std::int64_t most_filters = std::clamp<std::int64_t>(c.results, 1, tuning.unroll_kern ? 16 : 12);
  for (std::int64_t f = 1; f <= most_filters; ++f) {
    if (tuning.unroll_kern && f != std::clamp<std::int64_t>(*tuning.unroll_kern, 1, most_filters)) continue;
    for (std::int64_t w = 1; w <= std::min<std::int64_t>(16, widest); ++w) {
      // A kernel row reads overlapping columns: those of one tap and the next ones.
      if (f * w + w + 1 > conv_registers) continue;
      const TileSplit filters = split_evenly(c.results, f);
      double cycles = 0;
      for (const AxisPhase& p : c.columns.phases) {
        const TileSplit columns = split_evenly(p.count, w);
        for (const auto& [fn, fsize] :
             {std::pair(filters.large, filters.size + 1), std::pair(filters.small, filters.size)}) {
          for (const auto& [wn, wsize] :
               {std::pair(columns.large, columns.size + 1), std::pair(columns.small, columns.size)}) {
            const auto work = static_cast<double>(fsize * wsize), loads = static_cast<double>(fsize + wsize);
            cycles += static_cast<double>(fn * wn * p.taps) * (std::max({work, loads, 4.5}) + 0.1 * loads);
          }
        }
      }
      if (cycles < best.cycles) best = {{f, w}, cycles};
    }
  }
  return best;
}

class BatchLanes {
 public:
  BatchLanes(const LowerContext& context, const Correlation& correlation, const ConvTuning& tuning)
      : context_(context),
        c_(correlation),
        tuning_(tuning),
        kernel_(context, "conv_batch_lanes"),
        b_(kernel_.builder()),
        lanes_(conv_lanes(c_.dtype)) {
    const bool is_forward = concrete_is_forward();
    source_ = kernel_.input(is_forward ? 0 : 1);
    weights_ = kernel_.input(is_forward ? 1 : 0);
    result_ = kernel_.output(0);
    choose();
  }

  NodeCode lower() {
    const std::int64_t blocks = (c_.batch + lanes_ - 1) / lanes_;
    const std::int64_t scratch = c_.sources * c_.rows.source * pitch_ * lanes_;
    const std::int64_t strip = filter_tile_ * strip_rows_ * c_.columns.result * lanes_;
    tasks_ = conv_tasks(blocks, c_.groups, filter_tiles_.tiles(), scratch + strip,
                        tuning_.openmp ? context_.threads : 1);
    image_ = kernel_.scratch(c_.dtype, tasks_.count() * scratch);
    strip_ = kernel_.scratch(c_.dtype, tasks_.count() * strip);
    const auto body = [&](Index task) {
      const Index chunk = floor_div(task, tasks_.parts), part = mod(task, tasks_.parts);
      image_base_ = task * Index(scratch);
      strip_base_ = task * Index(strip);
      if (pitch_ != c_.columns.source || c_.batch % lanes_ != 0) clear(scratch);
      const Index first = chunk * Index(tasks_.per_chunk);
      b_.loop("block", first, min(first + Index(tasks_.per_chunk), blocks), [&](Index block) {
        const std::int64_t rest = c_.batch % lanes_;
        if (rest == 0 || blocks == 1) {
          correlate(block, part, [&](const auto& some) { some(rest == 0 ? lanes_ : rest); });
          return;
        }
        // The last block has fewer images; only the moves in and out differ.
        const Move move = [&](const std::function<void(std::int64_t)>& some) {
          const ScalarValue is_whole = b_.compare(ScalarOp::lt, block, blocks - 1);
          b_.branch(is_whole, [&] { some(lanes_); }, [&] { some(rest); });
        };
        correlate(block, part, move);
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
  using Move = std::function<void(const std::function<void(std::int64_t)>&)>;

  /// Neighbouring columns of one phase, computed together. `first` is a constant in edge tiles.
  struct Columns {
    const AxisPhase* phase;
    Index first;
    std::int64_t width;
    bool is_edge;
  };

  bool concrete_is_forward() const {
    return context_.node.attributes().get<std::string>("direction") == "forward";
  }

  void choose() {
    std::int64_t taps = 0;
    for (const AxisPhase& p : c_.columns.phases) taps = std::max(taps, p.taps);
    is_unrolled_ = tuning_.unroll_patch.value_or(taps <= most_unrolled_taps);
    const ConvTile tile = choose_tile(c_, tuning_).tile;
    filter_tile_ = tile.results;
    column_tile_ = tile.positions;
    filter_tiles_ = split_evenly(c_.results, filter_tile_);
    std::int64_t edges = 0;
    for (const AxisPhase& p : c_.columns.phases) {
      for_each_tile(p, [&](std::int64_t first, std::int64_t width) { edges += !is_inside(p, first, width); });
    }
    if (!is_unrolled_ || edges > most_edge_tiles) {
      left_ = -c_.columns.lowest();
      pitch_ = c_.columns.highest() + 1 + left_;
    } else {
      left_ = 0;
      pitch_ = c_.columns.source;
    }
    if (c_.rows.phases.size() == 1 && c_.rows.phases[0].step == 1) {
      const std::int64_t row_bytes = filter_tile_ * c_.columns.result * 64;
      const std::int64_t most = std::max<std::int64_t>(1, strip_bytes / std::max<std::int64_t>(1, row_bytes));
      const std::int64_t strips = (c_.rows.result + most - 1) / most;
      strip_rows_ = strips == 0 ? 1 : (c_.rows.result + strips - 1) / strips;
    }
  }

  template <class F>
  void for_each_tile(const AxisPhase& p, const F& f) const {
    const TileSplit split = split_evenly(p.count, column_tile_);
    std::int64_t first = 0;
    for (std::int64_t i = 0; i < split.tiles(); ++i) {
      const std::int64_t width = split.size + (i < split.large);
      f(first, width);
      first += width;
    }
  }

  /// Every tap of those columns lies in the image.
  bool is_inside(const AxisPhase& p, std::int64_t first, std::int64_t width) const {
    if (p.taps == 0) return true;
    const std::int64_t other = p.offset + (p.taps - 1) * p.offset_step;
    return first * p.stride + std::min(p.offset, other) >= 0 &&
           (first + width - 1) * p.stride + std::max(p.offset, other) < c_.columns.source;
  }

  void clear(std::int64_t count) {
    b_.loop("i", 0, count, vectorize,
            [&](Index i) { b_.store(image_, image_base_ + i, b_.constant(0, compute_dtype(c_.dtype))); });
  }

  /// image_[position][lane] from a group of the images of a block.
  void load(Index block, Index group, std::int64_t count) {
    const LaneLayout layout{c_.sources, c_.rows.source,   c_.columns.source, pitch_, c_.rows.source * pitch_,
                            lanes_,     c_.source_image()};
    load_lanes(b_, layout, image_, image_base_ + Index(left_ * lanes_), source_,
               block * Index(lanes_ * layout.between) + group * Index(layout.image()), count);
  }

  void correlate(Index block, Index part, const Move& move) {
    const auto tiles = [&](Index group, std::int64_t begin, std::int64_t count, std::int64_t width) {
      if (count == 0) return;
      const auto [from, to] = share_of(tasks_, part, count);
      b_.loop("tile", from, to,
              [&](Index tile) { filters(block, group, Index(begin) + tile * Index(width), width, move); });
    };
    const auto [first_group, last_group] = groups_of(tasks_, part, c_.groups);
    b_.loop("group", first_group, last_group, [&](Index group) {
      move([&](std::int64_t images) { load(block, group, images); });
      const TileSplit& split = filter_tiles_;
      tiles(group, 0, split.large, split.size + 1);
      tiles(group, split.large * (split.size + 1), split.small, split.size);
    });
  }

  void filters(Index block, Index group, Index first, std::int64_t count, const Move& move) {
    for (const AxisPhase& rows : c_.rows.phases) {
      const std::int64_t strips = (rows.count + strip_rows_ - 1) / strip_rows_;
      b_.loop("strip", 0, strips, [&](Index strip) {
        const std::int64_t rest = rows.count - (strips - 1) * strip_rows_;
        const Index begin = strip * Index(strip_rows_);
        b_.loop(
            "row", begin,
            rest == strip_rows_ ? begin + Index(strip_rows_) : min(begin + Index(strip_rows_), rows.count),
            [&](Index row) {
              for (const AxisPhase& columns : c_.columns.phases) {
                row_of_tiles(group, first, count, rows, row, row - begin, columns);
              }
            });
        const auto out = [&](std::int64_t rows_here) {
          move([&](std::int64_t images) {
            store(block, group, first, count, begin * Index(rows.step) + Index(rows.first), rows_here,
                  images);
          });
        };
        if (rest == strip_rows_ || strips == 1) {
          out(rest);
        } else {
          b_.branch(
              b_.compare(ScalarOp::lt, strip, strips - 1), [&] { out(strip_rows_); }, [&] { out(rest); });
        }
      });
    }
  }

  void row_of_tiles(Index group, Index first, std::int64_t count, const AxisPhase& rows, Index row,
                    Index strip_row, const AxisPhase& columns) {
    struct Run {
      std::int64_t first, width, tiles;
      bool is_edge;
    };
    std::vector<Run> runs;
    for_each_tile(columns, [&](std::int64_t at, std::int64_t width) {
      const bool is_edge = pitch_ == c_.columns.source && left_ == 0 && !is_inside(columns, at, width);
      if (!runs.empty() && !is_edge && !runs.back().is_edge && runs.back().width == width) {
        ++runs.back().tiles;
      } else {
        runs.push_back({at, width, 1, is_edge});
      }
    });
    for (const Run& run : runs) {
      b_.loop(
          "column", run.first, run.first + run.tiles * run.width, serial,
          [&](Index at) {
            const Columns tile{&columns, run.tiles == 1 ? Index(run.first) : at, run.width, run.is_edge};
            this->tile(group, first, count, rows, row, strip_row, tile);
          },
          run.width);
    }
  }

  /// The taps of a row that meet the image.
  std::pair<Index, Index> tap_range(const AxisPhase& p, Index q, std::int64_t source) const {
    const std::int64_t last = (p.taps - 1) * p.offset_step;
    if (p.offset + std::min<std::int64_t>(0, last) >= 0 &&
        (p.count - 1) * p.stride + p.offset + std::max<std::int64_t>(0, last) < source) {
      return {0, p.taps};
    }
    const Index at = q * Index(p.stride) + Index(p.offset);
    if (p.offset_step > 0) {
      const std::int64_t d = p.offset_step;
      return {max(0, floor_div(Index(d - 1) - at, d)),
              min(p.taps, floor_div(Index(source - 1) - at, d) + Index(1))};
    }
    const std::int64_t d = -p.offset_step;
    return {max(0, floor_div(at + Index(d - 1 - (source - 1)), d)), min(p.taps, floor_div(at, d) + Index(1))};
  }

  void tile(Index group, Index first, std::int64_t count, const AxisPhase& rows, Index row, Index strip_row,
            const Columns& columns) {
    const DType dtype = compute_dtype(c_.dtype);
    const AxisPhase& p = *columns.phase;
    const auto [from_tap, to_tap] = tap_range(rows, row, c_.rows.source);
    b_.loop("lane", 0, lanes_, vectorize, [&](Index lane) {
      std::vector<Local> sums;
      for (std::int64_t i = 0; i < count * columns.width; ++i)
        sums.push_back(b_.local("sum", b_.constant(0, dtype)));
      if (rows.taps > 0 && p.taps > 0) {
        const Index weights =
            Index(c_.weights.base + rows.kernel * c_.weights.row + p.kernel * c_.weights.column) +
            group * Index(c_.weights.group) + first * Index(c_.weights.result);
        const Index image = image_base_ + lane +
                            (row * Index(rows.stride) + Index(rows.offset)) * Index(pitch_ * lanes_) +
                            (columns.first * Index(p.stride) + Index(left_ + p.offset)) * Index(lanes_);
        b_.loop("channel", 0, c_.sources, [&](Index channel) {
          b_.loop("tap", from_tap, to_tap, [&](Index tap) {
            const Index w =
                weights + channel * Index(c_.weights.source) + tap * Index(rows.kernel_step * c_.weights.row);
            const Index x = image + (channel * Index(c_.rows.source) + tap * Index(rows.offset_step)) *
                                        Index(pitch_ * lanes_);
            if (is_unrolled_) {
              for (std::int64_t j = 0; j < p.taps; ++j) multiply(sums, count, columns, w, x, j, j);
            } else {
              b_.loop("column_tap", 0, p.taps, [&](Index j) { multiply(sums, count, columns, w, x, j, 0); });
            }
          });
        });
      }
      for (std::int64_t f = 0; f < count; ++f) {
        for (std::int64_t i = 0; i < columns.width; ++i) {
          const Index at = (Index(f) * Index(strip_rows_) + strip_row) * Index(c_.columns.result) +
                           (columns.first + Index(i)) * Index(p.step) + Index(p.first);
          b_.store(strip_, strip_base_ + at * Index(lanes_) + lane,
                   b_.get(sums[static_cast<std::size_t>(f * columns.width + i)]));
        }
      }
    });
  }

  /// One kernel element of every filter with its source columns.
  void multiply(const std::vector<Local>& sums, std::int64_t count, const Columns& columns, Index w, Index x,
                Index tap, std::int64_t known_tap) {
    const AxisPhase& p = *columns.phase;
    std::vector<ScalarValue> sources(static_cast<std::size_t>(columns.width));
    const auto meets = [&](std::int64_t i) {
      if (!columns.is_edge) return true;
      const std::int64_t at =
          (columns.first.constant() + i) * p.stride + p.offset + known_tap * p.offset_step;
      return at >= 0 && at < c_.columns.source;
    };
    bool any = false;
    for (std::int64_t i = 0; i < columns.width; ++i) {
      if (!meets(i)) continue;
      any = true;
      sources[static_cast<std::size_t>(i)] =
          b_.load(image_, x + (Index(i * p.stride) + tap * Index(p.offset_step)) * Index(lanes_));
    }
    if (!any) return;
    for (std::int64_t f = 0; f < count; ++f) {
      const ScalarValue weight = b_.load(
          weights_, w + Index(f * c_.weights.result) + tap * Index(p.kernel_step * c_.weights.column));
      for (std::int64_t i = 0; i < columns.width; ++i) {
        if (!meets(i)) continue;
        const Local sum = sums[static_cast<std::size_t>(f * columns.width + i)];
        b_.set(sum, b_.emit(ScalarOp::fma, sources[static_cast<std::size_t>(i)], weight, b_.get(sum)));
      }
    }
  }

  /// A strip of rows of some filters, back to images one after the other.
  void store(Index block, Index group, Index first, std::int64_t count, Index row, std::int64_t rows,
             std::int64_t images) {
    const std::int64_t plane = c_.rows.result * c_.columns.result;
    const std::int64_t image = c_.result_image();
    const std::int64_t positions = rows * c_.columns.result;
    b_.loop("filter", 0, count, [&](Index f) {
      const Index to = block * Index(lanes_ * image) +
                       (group * Index(c_.results) + first + f) * Index(plane) +
                       row * Index(c_.columns.result);
      const Index from = strip_base_ + f * Index(strip_rows_ * c_.columns.result * lanes_);
      const std::int64_t whole = positions / lanes_ * lanes_;
      if (whole > 0) {
        b_.loop(
            "i", 0, whole, serial,
            [&](Index i) {
              b_.transpose_tile(result_, to + i, image, strip_, from + i * Index(lanes_), lanes_, lanes_,
                                images);
            },
            lanes_);
      }
      if (whole < positions) {
        b_.transpose_tile(result_, to + Index(whole), image, strip_, from + Index(whole * lanes_), lanes_,
                          positions - whole, images);
      }
    });
  }

  const LowerContext& context_;
  const Correlation& c_;
  const ConvTuning& tuning_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  std::int64_t lanes_;
  Buffer source_, weights_, result_, image_, strip_;
  Index image_base_, strip_base_;
  std::int64_t filter_tile_ = 1, column_tile_ = 1;
  TileSplit filter_tiles_;
  ConvTasks tasks_;
  bool is_unrolled_ = true;
  std::int64_t left_ = 0, pitch_ = 0;  // zeros in front of a row, elements of a row
  std::int64_t strip_rows_ = 1;
};

}  // namespace

double batch_lanes_cycles(const Correlation& c, const ConvTuning& tuning) {
  const std::int64_t lanes = conv_lanes(c.dtype);
  double rows = 0;
  for (const AxisPhase& p : c.rows.phases) rows += static_cast<double>(p.count * p.taps);
  const auto blocks = static_cast<double>((c.batch + lanes - 1) / lanes);
  const auto moved = static_cast<double>(c.source_image() + c.result_image());
  return blocks * (static_cast<double>(c.groups * c.sources) * rows * choose_tile(c, tuning).cycles +
                   batch_move_cycles * moved);
}

NodeCode lower_conv_batch_lanes(const LowerContext& context, const Correlation& correlation,
                                const ConvTuning& tuning) {
  return BatchLanes(context, correlation, tuning).lower();
}

}  // namespace croton
