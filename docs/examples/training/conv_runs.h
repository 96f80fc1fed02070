#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// One convolution to measure.
struct ConvRun {
  std::string name;
  bool is_3d = false;  // depths count
  std::int64_t channels = 0, width = 0, height = 0, depth = 1;
  std::int64_t filters = 0, kernel_width = 0, kernel_height = 0, kernel_depth = 1;
  std::int64_t batch = 128;
  std::int64_t stride_width = 1, stride_height = 1, stride_depth = 1;
  std::int64_t pad_width = 0, pad_height = 0, pad_depth = 0;
  std::int64_t dilation_width = 1, dilation_height = 1, dilation_depth = 1;
  std::int64_t groups = 1;

  std::int64_t out_width() const;
  std::int64_t out_height() const;
  std::int64_t out_depth() const;
  /// Multiplications and additions of one pass.
  double flops() const;
  /// "CONFIG: input = 3 x 128 x 128 * ker = 3 x 96 x 11 x 11 ( bs = 128 , stride = 1 )".
  std::string heading() const;
};

/// Reads `iAxBxC,kDxExF,bG,sHxJ`: A input channels of B x C (width x height), D filters of E x F, batch G,
/// strides H and J; further pHxJ padding, dHxJ dilation, gN groups. With a depth behind each height
/// it is a convolution along three axes: `i16x16x16x16,k32x3x3x3`. One number where there are two or three
/// stands for all. `complete` may refuse the run, or change it before the filter is compared with the padded
/// image (and may do so again). Throws croton::ValueError, which says what is wrong with which part.
ConvRun parse_run(const std::string& text, const std::function<void(ConvRun&)>& complete = {});

/// What the arguments mean: numbers from 1 on are built-in runs, others configurations; none: all built-in
/// runs.
std::vector<ConvRun> selected_runs(const std::vector<std::string>& arguments,
                                   const std::vector<ConvRun>& built_in,
                                   const std::function<void(ConvRun&)>& complete = {});

/// The list of built-in runs, a line each.
std::string list_of(const std::vector<ConvRun>& built_in);
