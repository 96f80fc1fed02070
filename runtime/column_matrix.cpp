#include "croton/runtime/column_matrix.h"

#include <algorithm>
#include <cstring>

namespace croton {

namespace {

/// Calls row(image row or -1 for padding, matrix elements of one output row, first image column) for every
/// row of the matrix in its order. `Matrix` is float or const float.
template <class Matrix, class F>
void for_each_row(const ConvProblem& p, const ColumnBlock& b, Matrix* matrix, const F& f) {
  const std::int64_t width = p.out[1];
  for (std::int64_t c = b.channel; c < b.channel + b.channels; ++c) {
    for (std::int64_t k = 0; k < p.kernel[0]; ++k) {
      const std::int64_t row_tap = p.flip ? p.kernel[0] - 1 - k : k;
      for (std::int64_t l = 0; l < p.kernel[1]; ++l) {
        const std::int64_t column_tap = p.flip ? p.kernel[1] - 1 - l : l;
        const std::int64_t first = column_tap * p.dilation[1] - p.pad_lo[1];
        for (std::int64_t n = b.image; n < b.image + b.images; ++n) {
          const std::int64_t plane = (n * p.channels + c) * p.image[0];
          for (std::int64_t y = b.row; y < b.row + b.rows; ++y, matrix += width) {
            const std::int64_t row = y * p.stride[0] + row_tap * p.dilation[0] - p.pad_lo[0];
            const bool is_inside = row >= 0 && row < p.image[0];
            f(is_inside ? (plane + row) * p.image[1] : -1, matrix, first);
          }
        }
      }
    }
  }
}

/// The output columns whose image column first + x * stride lies in the image.
std::pair<std::int64_t, std::int64_t> inside(const ConvProblem& p, std::int64_t first) {
  const std::int64_t stride = p.stride[1];
  const std::int64_t begin = first >= 0 ? 0 : (-first + stride - 1) / stride;
  const std::int64_t room = p.image[1] - 1 - first;
  const std::int64_t end = room < 0 ? 0 : room / stride + 1;
  const std::int64_t low = std::min(begin, p.out[1]);
  return {low, std::clamp(end, low, p.out[1])};
}

}  // namespace

void image_to_columns(const ConvProblem& p, const ColumnBlock& block, const float* image, float* columns) {
  const std::int64_t width = p.out[1], stride = p.stride[1];
  for_each_row(p, block, columns, [&](std::int64_t row, float* to, std::int64_t first) {
    if (row < 0) {
      std::fill_n(to, width, 0.f);
      return;
    }
    const auto [begin, end] = inside(p, first);
    std::fill_n(to, begin, 0.f);
    const float* from = image + row + first + begin * stride;
    if (stride == 1) {
      std::memcpy(to + begin, from, static_cast<std::size_t>(end - begin) * sizeof(float));
    } else {
      for (std::int64_t x = begin; x < end; ++x, from += stride) to[x] = *from;
    }
    std::fill(to + end, to + width, 0.f);
  });
}

void add_columns_to_image(const ConvProblem& p, const ColumnBlock& block, const float* columns,
                          float* image) {
  const std::int64_t stride = p.stride[1];
  for_each_row(p, block, columns, [&](std::int64_t row, const float* from, std::int64_t first) {
    if (row < 0) return;
    const auto [begin, end] = inside(p, first);
    float* to = image + row + first;
    for (std::int64_t x = begin; x < end; ++x) to[x * stride] += from[x];
  });
}

}  // namespace croton
