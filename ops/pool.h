#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/tensor.h"
#include "croton/graph/variable.h"

namespace croton {

/// pool_2d(x): over windows of the last two axes. Attributes `ws`, `stride`, `pad` (one entry an axis),
/// `mode` (max, sum, average_inc_pad, average_exc_pad), `ignore_border`.
CROTON_API const Op& pool_2d_op();
/// pool_2d_grad(x, y, gy): the gradient of pool_2d with respect to x, y = pool_2d(x). The gradient of a
/// maximum goes to the first maximum of the window in C order.
CROTON_API const Op& pool_2d_grad_op();
/// pool_2d_grad_grad(x, y, ggx): what pool_2d_grad's cost sends to gy when mode is max: the elements of ggx
/// where the maxima of x's windows lie.
CROTON_API const Op& pool_2d_grad_grad_op();
/// max_pool_places(x): pool_2d's maxima, and where in its window each lies (uint8): row * columns + column of
/// the first, from the window's corner on, be that in the padding. For windows of at most 256 elements.
/// Attributes as pool_2d has them. Not differentiable: the optimizer makes it.
CROTON_API const Op& max_pool_places_op();
/// max_pool_places_grad(places, gy): what pool_2d_grad(x, y, gy) is for places of x's maxima. The attribute
/// `extents` has the rows and columns of x.
CROTON_API const Op& max_pool_places_grad_op();

struct PoolOptions {
  /// Whether windows that reach over the (padded) end are left out, or kept and cut off.
  bool ignore_border = true;
  /// The step between windows; the window itself when empty. A smaller one makes windows overlap.
  std::vector<std::int64_t> stride = {};
  /// Zeros on both sides for average_inc_pad; maxima and sums do not see them. Less than the window, and only
  /// with ignore_border.
  std::vector<std::int64_t> pad = {0, 0};
  std::string mode = "max";
};

/// Maximum, sum or mean over windows of `ws` = {rows, columns} in the last two axes.
CROTON_API Variable pool_2d(const Operand& input, const std::vector<std::int64_t>& ws,
                            const PoolOptions& options = {});

/// The windows of a pooling along one axis: the output's extent.
CROTON_API std::int64_t pooled_extent(std::int64_t extent, std::int64_t window, std::int64_t stride,
                                      std::int64_t pad, bool ignore_border);

/// The numbers of a pool_2d, pool_2d_grad or pool_2d_grad_grad node.
struct CROTON_API PoolWindows {
  enum class Mode : std::uint8_t { max, sum, average_inc_pad, average_exc_pad };
  Shape ws, stride, pad;  // one an axis of the last ones
  Mode mode = Mode::max;
  bool ignore_border = true;

  explicit PoolWindows(const Attributes& attributes);

  /// The elements of window i along a pooled axis: [begin, end) within the input of that extent.
  struct Range {
    std::int64_t begin, end;
    std::int64_t padded;  // how many elements count for average_inc_pad
  };
  Range range(int axis, std::int64_t i, std::int64_t extent) const;
  /// What a mean over these ranges divides by.
  double divisor(const Range& rows, const Range& columns) const;
  /// Whether windows lie side by side, without padding, and cover planes of these (known) extents.
  bool cover(std::int64_t rows, std::int64_t columns) const;
  /// Whether these are maxima whose places in a window are numbers of a byte.
  bool have_places() const { return mode == Mode::max && ws[0] * ws[1] <= 256; }
};

/// The gradient of maxima of windows of `ws` = {rows, columns}, `stride` apart, behind a padding, whose
/// places are known: of a tensor with these `extents` of the last two axes, at each element the sum of what
/// the maxima get that lie there.
CROTON_API Tensor spread_maxima(const Tensor& places, const Tensor& gy, const Shape& ws, const Shape& stride,
                                const Shape& pad, const Shape& extents);

}  // namespace croton
