#pragma once

#include <cstdint>

#include "croton/ops/conv_problem.h"

namespace croton {

/// A block of output positions: rows [row, row + rows) of images [image, image + images), and a range of the
/// channels of one group.
struct ColumnBlock {
  std::int64_t image = 0, images = 1;
  std::int64_t row = 0, rows = 0;
  std::int64_t channel = 0, channels = 0;  // of all channels of the image
};

/// The Toeplitz matrix of a convolution (im2col): one row for each channel and kernel element, one column for
/// each output position of the block, [channels * kernel][images * rows * out columns]. Kernel elements are
/// in the order of the filters in memory.
void image_to_columns(const ConvProblem& problem, const ColumnBlock& block, const float* image,
                      float* columns);

/// The transpose of that: adds every element of the matrix to the image element that it was taken from.
void add_columns_to_image(const ConvProblem& problem, const ColumnBlock& block, const float* columns,
                          float* image);

}  // namespace croton
