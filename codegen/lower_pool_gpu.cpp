#include <algorithm>

#include "croton/codegen/lower_conv_gpu.h"
#include "croton/codegen/lower_pool_windows.h"

namespace croton {

namespace {

/// Whether element (row, column) of a plane exists; nothing where that is known.
std::optional<ScalarValue> exists_at(KernelBuilder& b, Index row, std::int64_t rows, Index column,
                                     std::int64_t columns) {
  const ImageElement in_rows = image_element(b, row, rows), in_columns = image_element(b, column, columns);
  return both(b, in_rows.exists, in_columns.exists);
}

/// What looks for maxima in windows.
class GpuMaxima : protected PoolKernel {
 protected:
  using PoolKernel::PoolKernel;

  struct Maximum {
    ScalarValue value, place;
  };

  /// The larger one, of equal ones the first; the first NaN beats every number.
  Maximum larger(const Maximum& x, const Maximum& y) {
    const ScalarValue is_larger =
        both(b_, b_.emit(ScalarOp::logical_not, b_.emit(ScalarOp::le, y.value, x.value)),
             b_.emit(ScalarOp::logical_not, b_.emit(ScalarOp::isnan, x.value)));
    return {b_.emit(ScalarOp::select, is_larger, y.value, x.value),
            b_.emit(ScalarOp::select, is_larger, y.place, x.place)};
  }

  /// What a window begins with whose corner is at (row, column): should all be -inf, its first element that
  /// exists.
  Maximum first_of_window(Index row, Index column) {
    return {first_of_fold(),
            b_.value_of(max(Index(0) - row, 0) * Index(ws_[1]) + max(Index(0) - column, 0), DType::int32)};
  }

  /// What does not exist beats nothing.
  ScalarValue element(std::span<const Index> plane, Index row, Index column) {
    const std::optional<ScalarValue> exists = exists_at(b_, row, pool_.rows, column, pool_.columns);
    return b_.load(x_, at_x_(plane, row, column), exists, first_of_fold());
  }

  /// The first maximum in window (i, j) of a plane, and its place as row * columns + column.
  Maximum maximum(std::span<const Index> plane, Index i, Index j) {
    const Index row = i * Index(stride_[0]) - Index(pad_[0]), column = j * Index(stride_[1]) - Index(pad_[1]);
    Maximum found = first_of_window(row, column);
    for (std::int64_t r = 0; r < ws_[0]; ++r) {
      for (std::int64_t c = 0; c < ws_[1]; ++c)
        found = larger(found, {element(plane, row + Index(r), column + Index(c)), number(r * ws_[1] + c)});
    }
    return found;
  }

  ScalarValue number(std::int64_t value) { return b_.integer_constant(value, DType::int32); }
};

/// pool_2d and max_pool_places: a thread has some windows below each other, and folds the rows that they
/// share once.
class GpuPool : GpuMaxima {
 public:
  GpuPool(const LowerContext& context, const Pooling& pool)
      : GpuMaxima(context, pool, context.outputs.size() > 1 ? "pool_places" : "pool"), y_(kernel_.output(0)) {
    if (context.outputs.size() > 1) places_ = kernel_.output(1);
  }

  NodeCode lower() {
    constexpr std::int64_t most_windows = 4;
    constexpr std::int64_t most_elements = 48;  // of memory that a thread waits for together
    constexpr std::int64_t threads_per_multiprocessor = 2048;
    const std::int64_t out_columns = std::max<std::int64_t>(pool_.out_columns, 1);
    const std::int64_t outputs = planes_.count() * pool_.out_rows * pool_.out_columns;

    // Windows a thread: several where they share rows. Of others one, to whose element work behind it can
    // join.
    std::int64_t below = 1;
    for (std::int64_t k = 2; k <= most_windows && ws_[0] > stride_[0]; ++k) {
      const bool is_light = ((k - 1) * stride_[0] + ws_[0]) * ws_[1] <= most_elements;
      const bool are_enough = outputs / k >= threads_per_multiprocessor * context_.gpu.multiprocessors;
      if (pool_.out_rows % k == 0 && is_light && are_enough) below = k;
    }
    const std::int64_t strips = std::max<std::int64_t>(pool_.out_rows / below, 1);
    b_.parallel(
        "e", outputs / below,
        [&](Index e) {
          const Index j = mod(e, out_columns), i = mod(floor_div(e, out_columns), strips) * Index(below);
          const std::vector<Index> plane = split_index(floor_div(e, strips * out_columns), planes_.extents);
          const Index left = j * Index(stride_[1]) - Index(pad_[1]);
          std::vector<Maximum> values(static_cast<std::size_t>(below));
          for (std::int64_t k = 0; k < below && places_; ++k) {
            values[static_cast<std::size_t>(k)] =
                first_of_window((i + Index(k)) * Index(stride_[0]) - Index(pad_[0]), left);
          }
          for (std::int64_t r = 0; r < (below - 1) * stride_[0] + ws_[0]; ++r) {
            // The windows that the row belongs to.
            const std::int64_t first = r < ws_[0] ? 0 : (r - ws_[0]) / stride_[0] + 1;
            const std::int64_t last = std::min(r / stride_[0], below - 1);
            if (first > last) continue;
            const Index row = i * Index(stride_[0]) + Index(r - pad_[0]);
            std::vector<ScalarValue> elements;
            for (std::int64_t c = 0; c < ws_[1]; ++c)
              elements.push_back(element(plane, row, left + Index(c)));
            Maximum folded{elements[0], number(0)};
            for (std::int64_t c = 1; c < ws_[1]; ++c)
              folded = fold_in(folded, {elements[static_cast<std::size_t>(c)], number(c)});
            for (std::int64_t k = first; k <= last; ++k)
              fold_row(values[static_cast<std::size_t>(k)], folded, r - k * stride_[0]);
          }
          for (std::int64_t k = 0; k < below; ++k) {
            const auto& [value, place] = values[static_cast<std::size_t>(k)];
            b_.store(y_, at_result_(plane, i + Index(k), j), as_mean(value, i + Index(k), j));
            if (!places_) continue;
            const Index plane_number = floor_div(e, strips * out_columns);
            const Index window =
                (plane_number * Index(pool_.out_rows) + i + Index(k)) * Index(out_columns) + j;
            b_.store(*places_, below == 1 ? e : window, b_.cast(place, DType::uint8));
          }
        },
        vectorize);
    return kernel_.finish();
  }

 private:
  Maximum fold_in(const Maximum& x, const Maximum& y) {
    return places_ ? larger(x, y) : Maximum{b_.emit(fold(), x.value, y.value), {}};
  }
  /// Row number r of a window, with the column of its maximum as place.
  void fold_row(Maximum& window, const Maximum& row, std::int64_t r) {
    if (places_) {
      window = larger(window, {row.value, b_.emit(ScalarOp::add, row.place, number(r * ws_[1]))});
    } else {
      window = r == 0 ? row : fold_in(window, row);
    }
  }

  const Buffer y_;
  std::optional<Buffer> places_;
};

/// pool_2d_grad. A block is as many rows and columns of the input as windows are apart: its elements lie in
/// the same windows. Where windows do not overlap that is one window, whose maximum a thread finds itself.
/// Otherwise a group of threads works on a tile of blocks: it looks where the maxima lie of all windows that
/// reach into the tile, then adds up what every block gets. Where places are given (max_pool_places_grad), a
/// thread reads those of the windows of its block.
class GpuPoolGradient : GpuMaxima {
 public:
  GpuPoolGradient(const LowerContext& context, const Pooling& pool)
      : GpuMaxima(context, pool, context.inputs.size() == 2 ? "pool_places_grad" : "pool_grad"),
        has_places_(context.inputs.size() == 2),
        at_gy_(access(has_places_ ? 2 : 3)),
        gy_(kernel_.input(has_places_ ? 1 : 2)),
        gx_(kernel_.output(0)),
        block_rows_(tiles_of(pool.rows + pad_[0], stride_[0])),
        block_columns_(tiles_of(pool.columns + pad_[1], stride_[1])),
        above_(tiles_of(ws_[0], stride_[0])),
        left_(tiles_of(ws_[1], stride_[1])) {}

  NodeCode lower() {
    if (pool_.rows == 0 || pool_.columns == 0) return kernel_.finish();
    if (pool_.out_rows == 0 || pool_.out_columns == 0) {
      fill_with_zeros();
    } else if (has_places_ || (above_ == 1 && left_ == 1)) {
      by_blocks();
    } else {
      by_tiles();
    }
    return kernel_.finish();
  }

 private:
  /// What an element gets from the window that begins m blocks above and n to the left of its block: the
  /// window's share, and where its maximum lies.
  struct Contribution {
    ScalarValue share, place;
  };

  DType place_dtype() const { return ws_[0] * ws_[1] < 256 ? DType::uint8 : DType::int32; }

  void fill_with_zeros() {
    b_.parallel(
        "e", planes_.count() * pool_.rows * pool_.columns,
        [&](Index e) {
          const Index row = mod(floor_div(e, pool_.columns), pool_.rows), column = mod(e, pool_.columns);
          const Index plane = floor_div(e, pool_.rows * pool_.columns);
          b_.store(gx_, at_result_(split_index(plane, planes_.extents), row, column), zero());
        },
        vectorize);
  }

  /// What each element of window (i, j) may get; 0 where there is no such window.
  ScalarValue share_of(std::span<const Index> plane, Index i, Index j) {
    const std::optional<ScalarValue> exists = exists_at(b_, i, pool_.out_rows, j, pool_.out_columns);
    const Index at = at_gy_(plane, i, j);
    const ScalarValue gy = exists ? b_.load(gy_, at, exists, zero()) : b_.load(gy_, at);
    return is_max_ ? gy : as_mean(gy, nearest(i, pool_.out_rows), nearest(j, pool_.out_columns));
  }

  /// From the tensor of places, which stands where the pooled one does otherwise.
  ScalarValue given_place(std::span<const Index> plane, Index i, Index j) {
    const std::optional<ScalarValue> exists = exists_at(b_, i, pool_.out_rows, j, pool_.out_columns);
    const Index at = at_x_(plane, i, j);
    const ScalarValue none = b_.integer_constant(0, DType::uint8);
    return b_.cast(exists ? b_.load(x_, at, exists, none) : b_.load(x_, at), DType::int32);
  }

  /// The window that exists nearest to where one might.
  static Index nearest(Index at, std::int64_t count) { return min(max(at, 0), count - 1); }

  /// Adds up and stores what the elements of block (q, p) get.
  template <class ContributionAt>
  void spread(std::span<const Index> plane, Index q, Index p, const ContributionAt& contribution_at) {
    std::vector<ScalarValue> sums(static_cast<std::size_t>(stride_[0] * stride_[1]), zero());
    // The first contribution is not added to 0, nor any where an element has none.
    std::vector<bool> has_sum(sums.size(), false);
    for (std::int64_t m = above_ - 1; m >= 0; --m) {
      for (std::int64_t n = left_ - 1; n >= 0; --n) {
        const Contribution contribution = contribution_at(m, n);
        for (std::int64_t r = 0; r < stride_[0]; ++r) {
          for (std::int64_t c = 0; c < stride_[1]; ++c) {
            const std::int64_t in_row = m * stride_[0] + r, in_column = n * stride_[1] + c;
            if (in_row >= ws_[0] || in_column >= ws_[1]) continue;
            ScalarValue part = contribution.share;
            if (is_max_) {
              const ScalarValue hit =
                  b_.emit(ScalarOp::eq, contribution.place, number(in_row * ws_[1] + in_column));
              part = b_.emit(ScalarOp::select, hit, part, zero());
            }
            const auto k = static_cast<std::size_t>(r * stride_[1] + c);
            sums[k] = has_sum[k] ? b_.emit(ScalarOp::add, sums[k], part) : part;
            has_sum[k] = true;
          }
        }
      }
    }
    for (std::int64_t r = 0; r < stride_[0]; ++r) {
      for (std::int64_t c = 0; c < stride_[1]; ++c) {
        const Index row = q * Index(stride_[0]) + Index(r - pad_[0]);
        const Index column = p * Index(stride_[1]) + Index(c - pad_[1]);
        const ScalarValue sum = sums[static_cast<std::size_t>(r * stride_[1] + c)];
        const Index at = at_result_(plane, row, column);
        b_.store(gx_, at, sum, exists_at(b_, row, pool_.rows, column, pool_.columns));
      }
    }
  }

  void by_blocks() {
    b_.parallel(
        "e", planes_.count() * block_rows_ * block_columns_,
        [&](Index e) {
          const Index q = mod(floor_div(e, block_columns_), block_rows_), p = mod(e, block_columns_);
          const std::vector<Index> plane =
              split_index(floor_div(e, block_rows_ * block_columns_), planes_.extents);
          spread(plane, q, p, [&](std::int64_t m, std::int64_t n) -> Contribution {
            const Index i = q - Index(m), j = p - Index(n);
            const ScalarValue share = share_of(plane, i, j);
            if (!is_max_) return {share, {}};
            if (has_places_) return {share, given_place(plane, i, j)};
            return {share, maximum(plane, nearest(q, pool_.out_rows), nearest(p, pool_.out_columns)).place};
          });
        },
        vectorize);
  }

  /// Blocks below and beside each other that a group works on.
  struct Tile {
    std::int64_t rows, columns;
  };

  /// As many as need no more shared memory for their windows than leaves room for several groups, and few
  /// enough that there is a group for everybody. Parts of a plane are made equal.
  Tile tile() const {
    constexpr std::int64_t most_bytes = 16 * 1024;
    constexpr std::int64_t groups_per_multiprocessor = 4;
    const auto window_bytes =
        static_cast<std::int64_t>(size_of(dtype_) + (is_max_ ? size_of(place_dtype()) : 0));
    const std::int64_t most_windows = most_bytes / window_bytes;
    const auto equal_parts = [](std::int64_t extent, std::int64_t most) {
      return tiles_of(extent, tiles_of(extent, std::clamp<std::int64_t>(most, 1, extent)));
    };
    // Rows of windows are shared between tiles: several of blocks for each of those.
    const std::int64_t columns = equal_parts(block_columns_, most_windows / (4 * above_) - (left_ - 1));
    const std::int64_t parts =
        tiles_of(groups_per_multiprocessor * context_.gpu.multiprocessors,
                 std::max<std::int64_t>(planes_.count(), 1) * tiles_of(block_columns_, columns));
    const std::int64_t rows = equal_parts(
        block_rows_,
        std::min(most_windows / (columns + left_ - 1) - (above_ - 1), tiles_of(block_rows_, parts)));
    return {rows, columns};
  }

  void by_tiles() {
    const auto [rows, columns] = tile();
    const std::int64_t tiles_down = tiles_of(block_rows_, rows),
                       tiles_across = tiles_of(block_columns_, columns);
    const std::int64_t width = columns + left_ - 1, windows = (rows + above_ - 1) * width;
    b_.parallel("t", planes_.count() * tiles_down * tiles_across, [&](Index t) {
      const std::vector<Index> plane = split_index(floor_div(t, tiles_down * tiles_across), planes_.extents);
      const Index first_row = mod(floor_div(t, tiles_across), tiles_down) * Index(rows);
      const Index first_column = mod(t, tiles_across) * Index(columns);
      const LocalArray shares = b_.array("share", dtype_, windows);
      const LocalArray places = is_max_ ? b_.array("place", place_dtype(), windows) : LocalArray();
      b_.loop("w", 0, windows, vectorize, [&](Index w) {
        const Index i = first_row + floor_div(w, width) - Index(above_ - 1);
        const Index j = first_column + mod(w, width) - Index(left_ - 1);
        b_.store(shares, w, share_of(plane, i, j));
        if (!is_max_) return;
        const ScalarValue place =
            maximum(plane, nearest(i, pool_.out_rows), nearest(j, pool_.out_columns)).place;
        b_.store(places, w, b_.cast(place, place_dtype()));
      });
      b_.loop("e", 0, rows * columns, vectorize, [&](Index e) {
        const Index down = floor_div(e, columns), across = mod(e, columns);
        spread(plane, first_row + down, first_column + across,
               [&](std::int64_t m, std::int64_t n) -> Contribution {
                 const Index w =
                     (down + Index(above_ - 1 - m)) * Index(width) + across + Index(left_ - 1 - n);
                 const ScalarValue share = b_.load(shares, w);
                 if (!is_max_) return {share, {}};
                 return {share, b_.cast(b_.load(places, w), DType::int32)};
               });
      });
    });
  }

  const bool has_places_;
  const PlaneAccess at_gy_;
  const Buffer gy_, gx_;
  const std::int64_t block_rows_, block_columns_;  // of a plane
  const std::int64_t above_, left_;  // rows and columns of windows that hold an element of a block
};

}  // namespace

NodeCode lower_pool_on_gpu(const LowerContext& context, const Pooling& pool) {
  return GpuPool(context, pool).lower();
}

NodeCode lower_pool_grad_on_gpu(const LowerContext& context, const Pooling& pool) {
  return GpuPoolGradient(context, pool).lower();
}

// Made for GPUs; on the CPU, where the optimizer makes neither, the reference evaluator takes them.
std::optional<NodeCode> lower_max_pool_places(const LowerContext& context) {
  if (!context.is_gpu() || !is_contiguous(context.outputs[1])) return std::nullopt;
  return lower_pool_on_gpu(context, Pooling(context.node, context.inputs[0].shape, context.outputs[0].shape));
}

std::optional<NodeCode> lower_max_pool_places_grad(const LowerContext& context) {
  if (!context.is_gpu()) return std::nullopt;
  return lower_pool_grad_on_gpu(context,
                                Pooling(context.node, context.outputs[0].shape, context.inputs[1].shape));
}

}  // namespace croton
