#include "croton/optimizer/cudnn_error.h"

#include <algorithm>
#include <cmath>

#include "croton/graph/flags.h"
#include "croton/ops/cudnn_algorithm.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

/// Sums of products whose order is the same in every run.
double ordered_sum_error(const ConvProblem& p) {
  return std::max(library_sum_error(p), allowed_factor_roundoff(p.dtype));
}

/// Gradients whose parts are added to the result in memory, in the order in which they are ready: each
/// addition rounds to the dtype. cuDNN says which algorithms do so, but not how many parts there are: at most
/// one a product, and no more than keep a large GPU busy.
double atomic_sum_error(const ConvProblem& p) {
  constexpr double most_parts = 256;
  const double parts = std::min(most_parts, static_cast<double>(conv_terms(p)));
  // Twice what is usual, which grows with the parts as that of sums does with their terms.
  return ordered_sum_error(p) + storage_roundoff(p.dtype) * 0.8 * std::sqrt(parts);
}

/// As measured on an H200 (cuDNN 9.14), by hundreds of random problems: the largest took 235 roundings for
/// the gradient of 3 x 3 filters, 105 otherwise; 5 x 5 ones 57,000, which are not taken unless asked for.
double winograd_error(const ConvProblem& p) {
  const double roundings = p.kernel[0] == 5                                 ? 100'000
                           : p.direction == ConvDirection::backward_weights ? 280
                                                                            : 125;
  return std::max(ordered_sum_error(p), roundings * arithmetic_roundoff(p.dtype) + storage_roundoff(p.dtype));
}

/// Of Fourier transforms of so many elements.
double transform_error(const ConvProblem& p, double elements) {
  constexpr double first_stages = 4, of_stage = 0.8;
  const double roundings = first_stages + of_stage * std::log2(std::max(elements, 2.0));
  return std::max(ordered_sum_error(p), roundings * arithmetic_roundoff(p.dtype) + storage_roundoff(p.dtype));
}

/// Images are transformed as a whole.
double fft_error(const ConvProblem& p) {
  double elements = 1;
  for (std::size_t axis = 0; axis < p.image.size(); ++axis)
    elements *= static_cast<double>(p.image[axis] + p.pad_lo[axis] + p.pad_hi[axis]);
  return transform_error(p, elements);
}

/// Or by tiles, which small images do not fill.
double fft_tiling_error(const ConvProblem& p) {
  constexpr double elements_of_tile = 32 * 32;
  return transform_error(p, elements_of_tile);
}

}  // namespace

double cudnn_sum_error(const ConvProblem& p) {
  const bool may_differ = p.direction != ConvDirection::forward && !config().deterministic();
  return may_differ ? atomic_sum_error(p) : ordered_sum_error(p);
}

double cudnn_algorithm_error(const ConvProblem& p, std::string_view name) {
  if (name == "fft") return fft_error(p);
  if (name == "fft_tiling") return fft_tiling_error(p);
  if (name.starts_with("winograd")) return winograd_error(p);
  return cudnn_may_differ(p.direction, name) ? atomic_sum_error(p) : ordered_sum_error(p);
}

/// Fourier transforms take any kernel without stride and dilation, Winograd's filtering 3 x 3 ones (and 5 x
/// 5, but not of itself).
double cudnn_error(const ConvProblem& p) {
  bool is_winograd = p.rank == 2;
  for (std::size_t axis = 0; axis < p.kernel.size(); ++axis) {
    if (p.stride[axis] != 1 || p.dilation[axis] != 1) return cudnn_sum_error(p);
    is_winograd = is_winograd && p.kernel[axis] == 3;
  }
  const double transforms = is_winograd ? winograd_error(p) : std::max(fft_error(p), fft_tiling_error(p));
  return std::max(cudnn_sum_error(p), transforms);
}

}  // namespace croton
