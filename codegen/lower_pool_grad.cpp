#include <algorithm>

#include "croton/codegen/lower_pool_windows.h"

namespace croton {

namespace {

/// A plane split by columns: those that differ by a multiple of the stride lie side by side, so that what a
/// vector of windows reads for one place in the window is contiguous. Where windows neither overlap nor leave
/// anything out (`exact`), so lie the rows, and a place of all windows of the plane is contiguous.
struct SplitPlane {
  std::int64_t row_pitch = 0;     // from one row of a window to the next
  std::int64_t window_pitch = 0;  // from one row of windows to the next
  std::int64_t phase_pitch = 0;   // from one remainder of the column to the next
  bool exact = false;
  std::int64_t size = 0;

  explicit SplitPlane(const Pooling& pool) {
    const Shape& ws = pool.windows.ws;
    const Shape& stride = pool.windows.stride;
    const Shape& pad = pool.windows.pad;
    exact = ws == stride && pool.rows == pool.out_rows * stride[0] &&
            pool.columns == pool.out_columns * stride[1] && !pool.clipped;
    if (exact) {
      phase_pitch = pool.out_rows * pool.out_columns;
      row_pitch = stride[1] * phase_pitch;
      window_pitch = pool.out_columns;
      size = ws[0] * row_pitch;
    } else {  // covers the padding too, so that no window needs a mask
      const std::int64_t rows = std::max((pool.out_rows - 1) * stride[0] + ws[0], pool.rows + pad[0]);
      const std::int64_t columns =
          std::max((pool.out_columns - 1) * stride[1] + ws[1], pool.columns + pad[1]);
      phase_pitch = (columns + stride[1] - 1) / stride[1] + 1;
      row_pitch = stride[1] * phase_pitch;
      window_pitch = stride[0] * row_pitch;
      size = std::max<std::int64_t>(rows, 1) * row_pitch;
    }
  }

  /// Element (r, c) of window (i, j); in the exact case j may run on over all windows with i = 0.
  Index at(const Pooling& pool, Index i, Index j, std::int64_t r, std::int64_t c) const {
    const std::int64_t stride = pool.windows.stride[1];
    return i * Index(window_pitch) + Index(r * row_pitch + c % stride * phase_pitch + c / stride) + j;
  }
  /// The begin of input row i (padding counted).
  Index row(const Pooling& pool, Index i) const {
    if (!exact) return i * Index(row_pitch);
    const std::int64_t stride = pool.windows.stride[0];
    return mod(i, stride) * Index(row_pitch) + floor_div(i, stride) * Index(window_pitch);
  }
};

/// pool_2d_grad, one plane after the other, in workspaces that stay in the first-level cache.
class PoolGradient : PoolKernel {
 public:
  PoolGradient(const LowerContext& context, const Pooling& pool)
      : PoolKernel(context, pool, "pool_grad"),
        split_(pool),
        at_y_(access(2)),
        at_gy_(access(3)),
        y_(kernel_.input(1)),
        gy_(kernel_.input(2)),
        gx_(kernel_.output(0)) {}

  NodeCode lower() {
    if (split_.exact) {
      separate_windows();
    } else {
      overlapping_windows();
    }
    return kernel_.finish();
  }

 private:
  Buffer workspace(DType dtype, std::int64_t size) { return kernel_.scratch(dtype, size * context_.threads); }

  /// Whether rows of that operand move by transposes: contiguous, of the workspace's dtype.
  bool is_plain(std::size_t operand) const {
    const Layout& layout = layouts_[operand];
    const std::int64_t stride = stride_[1];
    return layout.strides.back() == 1 && layout.dtype == dtype_ && stride <= 16 && pad_[1] % stride == 0;
  }

  /// Moves a row of a plane, from `plane_row` on, into (or out of) a split row: `split_row` is the place of
  /// column 0 with padding counted, `phase_pitch` from one remainder of the column to the next.
  void move_row(Buffer tensor, Index plane_row, std::int64_t column_stride, bool plain, Buffer workspace,
                Index split_row, std::int64_t phase_pitch, bool to_plane) {
    const std::int64_t stride = stride_[1];
    const std::int64_t pad = pad_[1];
    const auto one = [&](Index j) {
      const Index column = j + Index(pad);
      const Index in_split = split_row + mod(column, stride) * Index(phase_pitch) + floor_div(column, stride);
      const Index in_plane = plane_row + j * Index(column_stride);
      if (to_plane) {
        b_.store(tensor, in_plane, b_.load(workspace, in_split));
      } else {
        b_.store(workspace, in_split, b_.load(tensor, in_plane));
      }
    };
    if (!plain) {
      b_.loop("j", 0, pool_.columns, [&](Index j) { one(j); });
      return;
    }
    // The last tile overlaps the one before rather than being a narrow one.
    constexpr std::int64_t side = 16;
    const std::int64_t whole = pool_.columns / stride;
    const std::int64_t tiled = whole / side * side;
    const auto tile = [&](Index m, std::int64_t count) {
      const Index in_plane = plane_row + m * Index(stride);
      const Index in_split = split_row + Index(pad / stride) + m;
      if (to_plane) {
        b_.transpose_tile(tensor, in_plane, stride, workspace, in_split, phase_pitch, stride, count);
      } else {
        b_.transpose_tile(workspace, in_split, phase_pitch, tensor, in_plane, stride, count, stride);
      }
    };
    if (tiled > 0) b_.loop("m", 0, tiled, serial, [&](Index m) { tile(m, side); }, side);
    if (tiled < whole) tile(std::max<std::int64_t>(whole - side, 0), std::min(whole, side));
    for (std::int64_t j = whole * stride; j < pool_.columns; ++j) one(j);
  }

  /// Whether the element of a window takes the gradient: it equals the maximum, or is the NaN that won over
  /// it.
  ScalarValue is_extreme(ScalarValue element, ScalarValue largest, bool may_be_nan) {
    const ScalarValue equal = b_.emit(ScalarOp::eq, element, largest);
    return may_be_nan ? b_.emit(ScalarOp::bit_or, equal, b_.emit(ScalarOp::isnan, element)) : equal;
  }

  /// Whether a maximum of the plane is NaN; where none is, no element has to be asked.
  ScalarValue any_nan(std::span<const Index> plane) {
    const Local found = b_.local("nan", b_.integer_constant(0, DType::bool_));
    b_.loop("i", 0, pool_.out_rows, [&](Index i) {
      b_.loop("j", 0, pool_.out_columns, vectorize, [&](Index j) {
        b_.reduce(ScalarOp::bit_or, found, b_.emit(ScalarOp::isnan, b_.load(y_, at_y_(plane, i, j))));
      });
    });
    return b_.get(found);
  }

  /// Every element belongs to one window: its share is stored over it, then the plane is put together again.
  void separate_windows() {
    const std::int64_t size = round_up(split_.size, 16);
    const Buffer elements = workspace(dtype_, size);
    const bool flat = at_y_.column_stride == 1 && at_gy_.column_stride == 1 &&
                      at_y_.row_stride == pool_.out_columns && at_gy_.row_stride == pool_.out_columns;
    const bool plain_x = is_plain(1), plain_gx = is_plain(0);
    b_.parallel("p", planes_.count(), [&](Index p) {
      const std::vector<Index> plane = split_index(p, planes_.extents);
      const Index base = b_.worker() * Index(size);
      if (is_max_) {
        b_.loop("i", 0, pool_.rows, [&](Index i) {
          move_row(x_, at_x_(plane, i, 0), at_x_.column_stride, plain_x, elements,
                   base + split_.row(pool_, i), split_.phase_pitch, false);
        });
      }
      const auto windows = [&](Index i, std::int64_t count) {
        b_.loop("j", 0, count, vectorize, [&](Index j) {
          const ScalarValue gradient = b_.load(gy_, at_gy_(plane, i, 0) + j * Index(at_gy_.column_stride));
          const ScalarValue share = is_max_ ? gradient : as_mean(gradient, i, j);
          ScalarValue largest, taken;
          if (is_max_) largest = b_.load(y_, at_y_(plane, i, 0) + j * Index(at_y_.column_stride));
          each_place([&](std::int64_t r, std::int64_t c) {
            const Index at = base + split_.at(pool_, i, j, r, c);
            if (!is_max_) {
              b_.store(elements, at, share);
              return;
            }
            const ScalarValue hit = is_extreme(b_.load(elements, at), largest, true);
            const bool first = r + c == 0;
            const ScalarValue takes = first ? hit : both(b_, hit, b_.emit(ScalarOp::logical_not, taken));
            taken = first ? hit : b_.emit(ScalarOp::bit_or, taken, hit);
            b_.store(elements, at, b_.emit(ScalarOp::select, takes, share, zero()));
          });
        });
      };
      if (flat) {
        windows(0, pool_.out_rows * pool_.out_columns);
      } else {
        b_.loop("i", 0, pool_.out_rows, [&](Index i) { windows(i, pool_.out_columns); });
      }
      b_.loop("i", 0, pool_.rows, [&](Index i) {
        move_row(gx_, at_result_(plane, i, 0), at_result_.column_stride, plain_gx, elements,
                 base + split_.row(pool_, i), split_.phase_pitch, true);
      });
    });
  }

  /// Each window notes its share and which of its elements takes it; then each element sums over the windows
  /// around it. Notes have margins that take nothing, so that border elements need no masks. Rows pass
  /// through these stages a row of windows apart: memory is read and written while there is something to
  /// compute, and what one stage stored is in the cache when the next reads it across its vectors (a load
  /// that spans stores still under way waits for them).
  void overlapping_windows() {
    const Notes notes(pool_);
    const Buffer elements = is_max_ ? workspace(dtype_, split_.size + Notes::lanes) : Buffer{};
    const Buffer places = is_max_ ? workspace(DType::int32, notes.size) : Buffer{};
    const Buffer shares = workspace(dtype_, notes.size);
    const Buffer sums = workspace(dtype_, stride_[0] * stride_[1] * notes.phase_columns);
    const bool plain_x = is_plain(1);

    b_.parallel("p", planes_.count(), [&](Index p) {
      const std::vector<Index> plane = split_index(p, planes_.extents);
      const Index element_base = b_.worker() * Index(split_.size + Notes::lanes);
      const Index note_base = b_.worker() * Index(notes.size);
      const Index sum_base = b_.worker() * Index(stride_[0] * stride_[1] * notes.phase_columns);
      b_.loop("z", 0, notes.size, vectorize, [&](Index z) {
        b_.store(shares, note_base + z, zero());
        if (is_max_) b_.store(places, note_base + z, b_.integer_constant(-1, DType::int32));
      });
      const auto split_rows = [&](Index first, std::int64_t count) {  // first: padding counted
        for (std::int64_t k = 0; k < count; ++k) {
          const Index row = first + Index(k - pad_[0]);
          const auto move = [&] {
            move_row(x_, at_x_(plane, row, 0), at_x_.column_stride, plain_x, elements,
                     element_base + split_.row(pool_, first + Index(k)), split_.phase_pitch, false);
          };
          if (pool_.clipped) {
            b_.branch(row_exists(row), move);
          } else {
            move();
          }
        }
      };
      const std::int64_t shared_rows = std::max<std::int64_t>(ws_[0] - stride_[0], 0);
      if (is_max_) split_rows(0, shared_rows);
      const ScalarValue has_nan = is_max_ ? any_nan(plane) : ScalarValue{};
      const auto stage = [&](Index row, std::int64_t rows, const auto& body) {
        b_.branch(both(b_, b_.compare(ScalarOp::ge, row, 0), b_.compare(ScalarOp::lt, row, rows)), body);
      };
      const std::int64_t bands = std::max(notes.bands, pool_.out_rows);
      b_.loop("t", 0, bands + split_ahead + give_out_after, [&](Index t) {
        const Index i = t - Index(split_ahead);
        const Index q = i - Index(give_out_after);
        if (is_max_) {
          stage(t, pool_.out_rows, [&] {
            prefetch_rows(x_, 1, plane, t * Index(stride_[0]), stride_[0], pool_.columns);
            prefetch_rows(y_, 2, plane, t, 1, pool_.out_columns);
            prefetch_rows(gy_, 3, plane, t, 1, pool_.out_columns);
            split_rows(t * Index(stride_[0]) + Index(shared_rows), ws_[0] - shared_rows);
          });
        }
        stage(i, pool_.out_rows, [&] {
          const auto note = [&](bool may_be_nan) {
            note_windows(notes, plane, i, element_base, elements, note_base, places, shares, may_be_nan);
          };
          if (is_max_) {
            b_.branch(has_nan, [&] { note(true); }, [&] { note(false); });
          } else {
            note(false);
          }
        });
        stage(q, bands, [&] {
          prefetch_rows(gx_, 0, plane, q * Index(stride_[0]), stride_[0], pool_.columns);
          give_out(notes, plane, q, note_base, places, shares, sum_base, sums);
        });
      });
    });
  }

  static constexpr std::int64_t split_ahead = 1, give_out_after = 1;  // rows of windows

  /// Where the notes of the windows of a plane lie: rows with a margin on the left, as long as whole vectors
  /// need that are stored and read from any column on.
  struct Notes {
    static constexpr std::int64_t lanes = 16;
    std::int64_t above, left;     // margins
    std::int64_t bands;           // of `stride` input rows
    std::int64_t phase_columns;   // of the input with one remainder by the stride, rounded up
    std::int64_t window_columns;  // rounded up
    std::int64_t pitch, size;

    explicit Notes(const Pooling& pool) {
      const Shape& ws = pool.windows.ws;
      const Shape& stride = pool.windows.stride;
      const Shape& pad = pool.windows.pad;
      above = (ws[0] - 1) / stride[0];
      left = (ws[1] - 1) / stride[1];
      bands = (pool.rows + pad[0] + stride[0] - 1) / stride[0];
      phase_columns = round_up((pool.columns + pad[1] + stride[1] - 1) / stride[1], lanes);
      window_columns = round_up(pool.out_columns, lanes);
      pitch = left + std::max(phase_columns, window_columns);
      size = round_up((above + std::max(bands, pool.out_rows)) * pitch, lanes);
    }
    /// The note of window (i, j).
    Index at(Index i, Index j) const { return (i + Index(above)) * Index(pitch) + Index(left) + j; }
  };

  ScalarValue row_exists(Index row) {
    return both(b_, b_.compare(ScalarOp::ge, row, 0), b_.compare(ScalarOp::lt, row, pool_.rows));
  }

  /// Notes the windows of row i. Whole vectors are stored, their last lanes as margin: what a masked store
  /// wrote last cannot be read back before it reached the cache.
  void note_windows(const Notes& notes, std::span<const Index> plane, Index i, Index element_base,
                    Buffer elements, Index note_base, Buffer places, Buffer shares, bool may_be_nan) {
    const ScalarValue nothing = zero();
    const ScalarValue nowhere = b_.integer_constant(-1, DType::int32);
    b_.loop("j", 0, notes.window_columns, vectorize, [&](Index j) {
      const Index note = note_base + notes.at(i, j);
      const bool whole = pool_.out_columns == notes.window_columns;
      const ScalarValue exists = b_.compare(ScalarOp::lt, j, pool_.out_columns);
      const auto load = [&](Buffer buffer, Index at) {
        return whole ? b_.load(buffer, at) : b_.load(buffer, at, exists, nothing);
      };
      const ScalarValue gradient = load(gy_, at_gy_(plane, i, j));
      const ScalarValue share = is_max_ ? gradient : as_mean(gradient, i, j);
      b_.store(shares, note, whole || is_max_ ? share : b_.emit(ScalarOp::select, exists, share, nothing));
      if (!is_max_) return;
      const ScalarValue largest = load(y_, at_y_(plane, i, j));
      ScalarValue place = nowhere;
      for (std::int64_t k = ws_[0] * ws_[1]; k-- > 0;) {  // the first place is asked last and wins
        const std::int64_t r = k / ws_[1], c = k % ws_[1];
        ScalarValue hit =
            is_extreme(b_.load(elements, element_base + split_.at(pool_, i, j, r, c)), largest, may_be_nan);
        if (pool_.clipped) {
          hit = both(
              b_, hit,
              inside(i * Index(stride_[0]) + Index(r - pad_[0]), j * Index(stride_[1]) + Index(c - pad_[1])));
        }
        place = b_.emit(ScalarOp::select, hit, b_.integer_constant(k, DType::int32), place);
      }
      b_.store(places, note, whole ? place : b_.emit(ScalarOp::select, exists, place, nowhere));
    });
  }

  /// The gradients of band q: the `stride` input rows that begin at that of window row q.
  void give_out(const Notes& notes, std::span<const Index> plane, Index q, Index note_base, Buffer places,
                Buffer shares, Index sum_base, Buffer sums) {
    const ScalarValue nothing = zero();
    // All rows of the band at once: each note is read once.
    b_.loop("m", 0, notes.phase_columns, vectorize, [&](Index m) {
      std::vector<ScalarValue> sums_here(static_cast<std::size_t>(stride_[0] * stride_[1]), nothing);
      for (std::int64_t r = 0; r < ws_[0]; ++r) {
        for (std::int64_t c = 0; c < ws_[1]; ++c) {
          const Index note = note_base + notes.at(q - Index(r / stride_[0]), m - Index(c / stride_[1]));
          ScalarValue share = b_.load(shares, note);
          if (is_max_) {
            const ScalarValue here = b_.emit(ScalarOp::eq, b_.load(places, note),
                                             b_.integer_constant(r * ws_[1] + c, DType::int32));
            share = b_.emit(ScalarOp::select, here, share, nothing);
          }
          ScalarValue& sum =
              sums_here[static_cast<std::size_t>(r % stride_[0] * stride_[1] + c % stride_[1])];
          sum = b_.emit(ScalarOp::add, sum, share);
        }
      }
      for (std::size_t k = 0; k < sums_here.size(); ++k) {
        b_.store(sums, sum_base + Index(static_cast<std::int64_t>(k) * notes.phase_columns) + m,
                 sums_here[k]);
      }
    });
    for (std::int64_t in_band = 0; in_band < stride_[0]; ++in_band) {
      const Index row = q * Index(stride_[0]) + Index(in_band - pad_[0]);
      b_.branch(row_exists(row), [&] {
        move_row(gx_, at_result_(plane, row, 0), at_result_.column_stride, is_plain(0), sums,
                 sum_base + Index(in_band * stride_[1] * notes.phase_columns), notes.phase_columns, true);
      });
    }
  }

  template <class Body>
  void each_place(const Body& body) const {
    for (std::int64_t r = 0; r < ws_[0]; ++r) {
      for (std::int64_t c = 0; c < ws_[1]; ++c) body(r, c);
    }
  }

  const SplitPlane split_;
  const PlaneAccess at_y_, at_gy_;
  const Buffer y_, gy_, gx_;
};

}  // namespace

std::optional<NodeCode> lower_pool_grad(const LowerContext& context) {
  const Pooling pool(context.node, context.inputs[0].shape, context.inputs[1].shape);
  if (pool.windows.mode == PoolWindows::Mode::max && !is_floating(context.outputs[0].dtype))
    return std::nullopt;
  return context.is_gpu() ? lower_pool_grad_on_gpu(context, pool) : PoolGradient(context, pool).lower();
}

}  // namespace croton
