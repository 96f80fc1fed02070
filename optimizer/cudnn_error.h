#pragma once

#include <string_view>

#include "croton/ops/conv_problem.h"

namespace croton {

// ConvCandidate::error of cuDNN's algorithms.

/// Of those that transform nothing. What an engine of a graph rounds otherwise it says, and is taken only as
/// far as the flag precision allows.
double cudnn_sum_error(const ConvProblem& problem);

/// Of the algorithm of that name (cudnn_algorithm_names).
double cudnn_algorithm_error(const ConvProblem& problem, std::string_view name);

/// Which algorithm is the fastest is not known before it is measured: the largest error of those that take
/// the problem.
double cudnn_error(const ConvProblem& problem);

}  // namespace croton
