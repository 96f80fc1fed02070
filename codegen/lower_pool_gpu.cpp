#include <algorithm>

#include "croton/codegen/lower_conv_gpu.h"
#include "croton/codegen/lower_pool_windows.h"

namespace croton {

namespace {

/// pool_2d_grad in two phases: where each window's maximum lies, then what every element of the input gets
/// from the windows that hold it. A thread of the second phase has as many neighbouring rows and columns as
/// windows are apart: all these elements lie in the same windows. Where windows do not overlap that is one
/// window, whose maximum it finds itself.
class GpuPoolGradient {
 public:
  GpuPoolGradient(const LowerContext& context, const Pooling& pool)
      : pool_(pool),
        is_max_(pool.windows.mode == PoolWindows::Mode::max),
        dtype_(compute_dtype(context.outputs[0].dtype)),
        kernel_(context, "pool_grad"),
        b_(kernel_.builder()),
        layouts_{context.outputs[0], context.inputs[0], context.inputs[1], context.inputs[2]},
        planes_(plane_loops(pool.planes, layouts_)),
        at_gx_(access(planes_, 0, layouts_[0])),
        at_x_(access(planes_, 1, layouts_[1])),
        at_gy_(access(planes_, 3, layouts_[3])),
        x_(kernel_.input(0)),
        gy_(kernel_.input(2)),
        gx_(kernel_.output(0)),
        windows_(planes_.count() * pool.out_rows * pool.out_columns) {}

  NodeCode lower() {
    const std::int64_t places = pool_.windows.ws[0] * pool_.windows.ws[1];
    if (is_max_ && are_apart()) return gather(), kernel_.finish();
    if (is_max_) {
      place_ =
          kernel_.scratch(places < 256 ? DType::uint8 : DType::int32, std::max<std::int64_t>(windows_, 1));
      find_maxima();
    }
    gather();
    return kernel_.finish();
  }

 private:
  ScalarValue number(std::int64_t value) { return b_.integer_constant(value, DType::int32); }

  /// No element lies in two windows.
  bool are_apart() const {
    const Shape &ws = pool_.windows.ws, &stride = pool_.windows.stride;
    return ws[0] <= stride[0] && ws[1] <= stride[1];
  }

  /// The place of the maximum in window (i, j) of a plane, as row * columns + column.
  ScalarValue place_of_maximum(std::span<const Index> plane, Index i, Index j) {
    const Shape &ws = pool_.windows.ws, &stride = pool_.windows.stride, &pad = pool_.windows.pad;
    const Index row = i * Index(stride[0]) - Index(pad[0]), column = j * Index(stride[1]) - Index(pad[1]);
    const ScalarValue nothing = first_of_fold(b_, true, dtype_);
    ScalarValue extreme = nothing;
    // The first element that exists, should all be -inf.
    ScalarValue where =
        b_.value_of(max(Index(0) - row, 0) * Index(ws[1]) + max(Index(0) - column, 0), DType::int32);
    for (std::int64_t r = 0; r < ws[0]; ++r) {
      for (std::int64_t c = 0; c < ws[1]; ++c) {
        const Index at_row = row + Index(r), at_column = column + Index(c);
        const std::optional<ScalarValue> exists = exists_at(at_row, pool_.rows, at_column, pool_.columns);
        const Index at = at_x_(plane, at_row, at_column);
        const ScalarValue v = exists ? b_.load(x_, at, *exists, nothing) : b_.load(x_, at);
        // Of equal ones the first; the first NaN beats every number. What does not exist beats nothing.
        const ScalarValue is_larger =
            both(b_, b_.emit(ScalarOp::logical_not, b_.emit(ScalarOp::le, v, extreme)),
                 b_.emit(ScalarOp::logical_not, b_.emit(ScalarOp::isnan, extreme)));
        extreme = b_.emit(ScalarOp::select, is_larger, v, extreme);
        where = b_.emit(ScalarOp::select, is_larger, number(r * ws[1] + c), where);
      }
    }
    return where;
  }

  /// Whether element (row, column) of a plane exists; nothing where that is known.
  std::optional<ScalarValue> exists_at(Index row, std::int64_t rows, Index column, std::int64_t columns) {
    const std::optional<ScalarValue> in_rows = image_element(b_, row, rows).exists,
                                     in_columns = image_element(b_, column, columns).exists;
    if (in_rows && in_columns) return both(b_, *in_rows, *in_columns);
    return in_rows ? in_rows : in_columns;
  }

  void find_maxima() {
    const std::int64_t columns = std::max<std::int64_t>(pool_.out_columns, 1);
    const std::int64_t rows = std::max<std::int64_t>(pool_.out_rows, 1);
    b_.parallel(
        "w", windows_,
        [&](Index w) {
          const Index j = mod(w, columns), i = mod(floor_div(w, columns), rows);
          const std::vector<Index> plane = split_index(floor_div(w, rows * columns), planes_.extents);
          b_.store(place_, w, b_.cast(place_of_maximum(plane, i, j), place_.dtype));
        },
        vectorize);
  }

  void gather() {
    const Shape &ws = pool_.windows.ws, &stride = pool_.windows.stride, &pad = pool_.windows.pad;
    const std::int64_t block_rows = (pool_.rows + pad[0] + stride[0] - 1) / stride[0];
    const std::int64_t block_columns = (pool_.columns + pad[1] + stride[1] - 1) / stride[1];
    if (block_rows == 0 || block_columns == 0) return;
    const std::int64_t above = (ws[0] + stride[0] - 1) / stride[0],
                       left = (ws[1] + stride[1] - 1) / stride[1];
    b_.parallel(
        "e", planes_.count() * block_rows * block_columns,
        [&](Index e) {
          const Index q = mod(floor_div(e, block_columns), block_rows), p = mod(e, block_columns);
          const Index flat_plane = floor_div(e, block_rows * block_columns);
          const std::vector<Index> plane = split_index(flat_plane, planes_.extents);
          const ScalarValue zero = b_.constant(0, dtype_);
          std::vector<ScalarValue> sums(static_cast<std::size_t>(stride[0] * stride[1]), zero);
          // The first contribution is not added to 0, nor any where an element has none.
          std::vector<bool> has_sum(sums.size(), false);
          for (std::int64_t m = above - 1; m >= 0; --m) {
            for (std::int64_t n = left - 1; n >= 0; --n) {
              const Index i = q - Index(m), j = p - Index(n);
              const ScalarValue exists = both(b_, window_exists(i, pool_.out_rows, m, block_rows),
                                              window_exists(j, pool_.out_columns, n, block_columns));
              ScalarValue share = b_.load(gy_, at_gy_(plane, i, j), exists, zero);
              ScalarValue place;
              if (is_max_ && are_apart()) {
                place = place_of_maximum(plane, i, j);
              } else if (is_max_) {
                const Index w = (flat_plane * Index(pool_.out_rows) + i) * Index(pool_.out_columns) + j;
                place = b_.cast(b_.load(place_, w, exists, b_.constant(0, place_.dtype)), DType::int32);
              } else {
                share = as_share(share, i, j);
                share = b_.emit(ScalarOp::select, exists, share, zero);
              }
              for (std::int64_t r = 0; r < stride[0]; ++r) {
                for (std::int64_t c = 0; c < stride[1]; ++c) {
                  const std::int64_t in_row = m * stride[0] + r, in_column = n * stride[1] + c;
                  if (in_row >= ws[0] || in_column >= ws[1]) continue;
                  ScalarValue part = share;
                  if (is_max_) {
                    const ScalarValue hit = b_.emit(ScalarOp::eq, place, number(in_row * ws[1] + in_column));
                    part = b_.emit(ScalarOp::select, hit, share, zero);
                  }
                  const auto k = static_cast<std::size_t>(r * stride[1] + c);
                  sums[k] = has_sum[k] ? b_.emit(ScalarOp::add, sums[k], part) : part;
                  has_sum[k] = true;
                }
              }
            }
          }
          const bool is_whole =
              pad[0] == 0 && pad[1] == 0 && pool_.rows % stride[0] == 0 && pool_.columns % stride[1] == 0;
          for (std::int64_t r = 0; r < stride[0]; ++r) {
            for (std::int64_t c = 0; c < stride[1]; ++c) {
              const Index row = q * Index(stride[0]) + Index(r - pad[0]);
              const Index column = p * Index(stride[1]) + Index(c - pad[1]);
              const ScalarValue sum = sums[static_cast<std::size_t>(r * stride[1] + c)];
              if (is_whole) {
                b_.store(gx_, at_gx_(plane, row, column), sum);
              } else {
                b_.store(gx_, at_gx_(plane, row, column), sum, inside(b_, pool_, row, column));
              }
            }
          }
        },
        vectorize);
  }

  /// 0 <= i < count, where i is a block's index less m.
  ScalarValue window_exists(Index i, std::int64_t count, std::int64_t m, std::int64_t blocks) {
    const ScalarValue always = b_.integer_constant(1, DType::bool_);
    const ScalarValue low = m == 0 ? always : b_.compare(ScalarOp::ge, i, 0);
    const ScalarValue high = blocks - 1 - m < count ? always : b_.compare(ScalarOp::lt, i, count);
    return both(b_, low, high);
  }

  ScalarValue as_share(ScalarValue share, Index i, Index j) {
    if (pool_.windows.mode == PoolWindows::Mode::sum) return share;
    return as_mean(b_, pool_, share, i, j);
  }

  const Pooling& pool_;
  const bool is_max_;
  const DType dtype_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  const std::vector<Layout> layouts_;
  const IterationSpace planes_;
  const PlaneAccess at_gx_, at_x_, at_gy_;
  const Buffer x_, gy_, gx_;
  const std::int64_t windows_;
  Buffer place_;
};

}  // namespace

NodeCode lower_pool_grad_on_gpu(const LowerContext& context, const Pooling& pool) {
  return GpuPoolGradient(context, pool).lower();
}

}  // namespace croton
