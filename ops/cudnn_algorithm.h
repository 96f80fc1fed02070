#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "croton/ops/conv_problem.h"

namespace croton {

// cuDNN's algorithms by the names of Theano's flags dnn.conv.algo_fwd, algo_bwd_data and algo_bwd_filter.

/// "small" (the implicit product with precomputed indices), "none" (the implicit product; for gradients the
/// library's first algorithm, whose results may differ between runs), "large" (an explicit product),
/// "deterministic", "fft", "fft_tiling", "winograd", "winograd_non_fused".
CROTON_API std::span<const std::string_view> cudnn_algorithm_names();
/// What chooses one of them: "guess_once", "guess_on_shape_change", "time_once", "time_on_shape_change".
CROTON_API std::span<const std::string_view> cudnn_selection_names();

/// The library's number of an algorithm in one direction; nothing where it has none of that name.
CROTON_API std::optional<int> cudnn_algorithm_number(ConvDirection direction, std::string_view name);
/// Whether the results of an algorithm may differ between runs: it adds parts of a gradient to the result as
/// they are ready.
CROTON_API bool cudnn_may_differ(ConvDirection direction, std::string_view name);
/// Why cuDNN does not compute the problem by the algorithm, as far as its documentation says; empty where it
/// may.
CROTON_API std::string cudnn_algorithm_refusal(const ConvProblem& problem, std::string_view name);

/// The algorithm or selection in the version of a convolution, "fft" in "dnn_fft"; empty for other versions.
CROTON_API std::string_view cudnn_algorithm_in(std::string_view version);
/// What the flag for a direction says.
CROTON_API std::string cudnn_algorithm_flag(ConvDirection direction);

}  // namespace croton
