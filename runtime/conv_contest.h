#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/graph/export.h"
#include "croton/optimizer/conv_measurement.h"

namespace croton {

/// The candidates for one problem, measured in turns, on operands that are uniform on (-1, 1) and lie as the
/// problem says. What goes wrong with a candidate is its reason; nothing is thrown but MemoryError for the
/// operands.
class ConvContest {
 public:
  virtual ~ConvContest() = default;
  ConvContest() = default;
  ConvContest(const ConvContest&) = delete;
  ConvContest& operator=(const ConvContest&) = delete;

  /// After a warm-up call of each candidate rounds of one sample each until the ranking is settled or
  /// `budget` seconds are spent; who is far behind drops out. The winner's result must agree with another's.
  /// Once.
  virtual ConvMeasurement run(double budget) = 0;
};

/// Contests whose candidates are compiled, all at the same time on all cores.
std::vector<std::unique_ptr<ConvContest>> prepare_contests(std::span<const ConvTask> tasks);

/// "[#######.............] 3 of 9  gemm  conv2d forward …", cut off at `columns`: what a terminal shows of
/// it.
CROTON_API std::string progress_line(std::size_t done, std::size_t all, const std::string& what,
                                     std::size_t columns);

}  // namespace croton
