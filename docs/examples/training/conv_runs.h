#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// One convolution to measure.
struct ConvRun {
  std::string name;
  std::int64_t channels = 0, width = 0, height = 0;
  std::int64_t filters = 0, kernel_width = 0, kernel_height = 0;
  std::int64_t batch = 128;
  std::int64_t stride_width = 1, stride_height = 1;
  std::int64_t pad_width = 0, pad_height = 0;
  std::int64_t dilation_width = 1, dilation_height = 1;
  std::int64_t groups = 1;

  std::int64_t out_width() const;
  std::int64_t out_height() const;
  /// Multiplications and additions of one pass.
  double flops() const;
  /// "CONFIG: input = 3 x 128 x 128 * ker = 3 x 96 x 11 x 11 ( bs = 128 , stride = 1 )".
  std::string heading() const;
};

/// Reads `iAxBxC,kDxExF,bG,sHxJ`: A input channels of B x C (width x height), D filters of E x F, batch G,
/// strides H and J; further pHxJ padding, dHxJ dilation, gN groups. One number where there are two stands for
/// both. Throws croton::ValueError, which says what is wrong with which part.
ConvRun parse_run(const std::string& text);

/// What the arguments mean: numbers from 1 on are built-in runs, others configurations; none: all built-in
/// runs.
std::vector<ConvRun> selected_runs(const std::vector<std::string>& arguments,
                                   const std::vector<ConvRun>& built_in);

/// The list of built-in runs, a line each.
std::string list_of(const std::vector<ConvRun>& built_in);
