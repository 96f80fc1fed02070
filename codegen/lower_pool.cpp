#include <algorithm>

#include "croton/codegen/lower_pool_windows.h"

namespace croton {

namespace {

class CpuPool : PoolKernel {
 public:
  CpuPool(const LowerContext& context, const Pooling& pool)
      : PoolKernel(context, pool, "pool"), y_(kernel_.output(0)) {}

  NodeCode lower() {
    if (pool_.clipped || pool_.out_rows == 0 || pool_.out_columns == 0) {
      clipped_windows();
    } else {
      whole_windows();
    }
    return kernel_.finish();
  }

 private:
  /// Windows reach outside: one output element a lane, the window unrolled, what is outside masked.
  void clipped_windows() {
    const ScalarValue start = first_of_fold();
    const std::int64_t out_rows = std::max<std::int64_t>(pool_.out_rows, 1);
    const std::int64_t out_columns = std::max<std::int64_t>(pool_.out_columns, 1);
    b_.parallel(
        "e", planes_.count() * pool_.out_rows * pool_.out_columns,
        [&](Index e) {
          const Index j = mod(e, out_columns);
          const Index i = mod(floor_div(e, out_columns), out_rows);
          const std::vector<Index> plane = split_index(floor_div(e, out_rows * out_columns), planes_.extents);
          ScalarValue value = start;
          for (std::int64_t r = 0; r < ws_[0]; ++r) {
            for (std::int64_t c = 0; c < ws_[1]; ++c) {
              const Index row = i * Index(stride_[0]) + Index(r - pad_[0]);
              const Index column = j * Index(stride_[1]) + Index(c - pad_[1]);
              const ScalarValue v = b_.load(x_, at_x_(plane, row, column), inside(row, column), start);
              value = b_.emit(fold(), value, v);
            }
          }
          b_.store(y_, at_result_(plane, i, j), as_mean(value, i, j));
        },
        vectorize);
  }

  /// The rows of a window are folded first, along contiguous memory, into a row of a workspace that stays in
  /// the first-level cache; then its columns. Windows that do not share columns are folded for a whole plane
  /// at once.
  void whole_windows() {
    const bool by_plane =
        ws_[1] <= stride_[1] && at_result_.column_stride == 1 && at_result_.row_stride == pool_.out_columns;
    const std::int64_t row_size =
        by_plane ? stride_[1] * pool_.out_columns : (pool_.out_columns - 1) * stride_[1] + ws_[1];
    const std::int64_t used = std::min(row_size, (pool_.out_columns - 1) * stride_[1] + ws_[1]);
    // Columns are folded in whole vectors, whose last lanes read what does not count.
    const std::int64_t lanes = 16;
    const std::int64_t folded = by_plane ? pool_.out_rows * pool_.out_columns : pool_.out_columns;
    const std::int64_t workspace_size =
        round_up((by_plane ? pool_.out_rows * row_size : row_size) + lanes * stride_[1] + ws_[1], lanes);
    const Buffer workspace = kernel_.scratch(dtype_, workspace_size * context_.threads);

    b_.parallel("p", planes_.count(), [&](Index p) {
      const std::vector<Index> plane = split_index(p, planes_.extents);
      const Index base = b_.worker() * Index(workspace_size);
      // Whole vectors are stored: what a masked store wrote last cannot be read back before it reached the
      // cache.
      const auto fold_rows = [&](Index i, Index to) {
        prefetch_rows(x_, 1, plane, i * Index(stride_[0]), stride_[0], pool_.columns);
        b_.loop("c", 0, round_up(used, lanes), vectorize, [&](Index c) {
          const auto element = [&](std::int64_t r) {
            const Index at = at_x_(plane, i * Index(stride_[0]) + Index(r), c);
            if (used % lanes == 0) return b_.load(x_, at);
            return b_.load(x_, at, b_.compare(ScalarOp::lt, c, used), zero());
          };
          ScalarValue value = element(0);
          for (std::int64_t r = 1; r < ws_[0]; ++r) value = b_.emit(fold(), value, element(r));
          b_.store(workspace, to + c, value);
        });
      };
      const auto fold_columns = [&](Index from, Index j, Index i) {
        ScalarValue value = b_.load(workspace, from + j * Index(stride_[1]));
        for (std::int64_t c = 1; c < ws_[1]; ++c) {
          value = b_.emit(fold(), value, b_.load(workspace, from + j * Index(stride_[1]) + Index(c)));
        }
        return as_mean(value, i, j);
      };
      const auto store_columns = [&](Index from, Index to, Index i) {
        b_.loop("j", 0, round_up(folded, lanes), vectorize, [&](Index j) {
          const ScalarValue value = fold_columns(from, j, i);
          const Index at = to + j * Index(at_result_.column_stride);
          if (folded % lanes == 0) {
            b_.store(y_, at, value);
          } else {
            b_.store(y_, at, value, b_.compare(ScalarOp::lt, j, folded));
          }
        });
      };
      if (by_plane) {
        b_.loop("i", 0, pool_.out_rows, [&](Index i) { fold_rows(i, base + i * Index(row_size)); });
        store_columns(base, at_result_(plane, 0, 0), 0);
      } else {
        b_.loop("i", 0, pool_.out_rows, [&](Index i) {
          fold_rows(i, base);
          store_columns(base, at_result_(plane, i, 0), i);
        });
      }
    });
  }

  const Buffer y_;
};

}  // namespace

std::optional<NodeCode> lower_pool(const LowerContext& context) {
  const Pooling pool(context.node, context.inputs[0].shape, context.outputs[0].shape);
  if (pool.windows.mode == PoolWindows::Mode::max && !is_floating(context.outputs[0].dtype))
    return std::nullopt;
  return context.is_gpu() ? lower_pool_on_gpu(context, pool) : CpuPool(context, pool).lower();
}

}  // namespace croton
