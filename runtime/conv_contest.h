#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "croton/graph/export.h"
#include "croton/optimizer/conv_measurement.h"

namespace croton {

/// Compiles every candidate for the problem and measures them in turns, on operands that are uniform on (-1,
/// 1): after a warm-up call, rounds of one sample each until the ranking is settled or `budget` seconds are
/// spent; who is far behind drops out. The winner's result must agree with another's. What goes wrong with a
/// candidate is its reason; nothing is thrown but MemoryError for the operands.
ConvMeasurement hold_contest(const ConvProblem& problem, std::span<const ConvCandidate* const> candidates,
                             double budget);

/// "[#######.............] 3 of 9  gemm  conv2d forward …", cut off at `columns`: what a terminal shows of
/// it.
CROTON_API std::string progress_line(std::size_t done, std::size_t all, const std::string& what,
                                     std::size_t columns);

}  // namespace croton
