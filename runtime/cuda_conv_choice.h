#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// One of cuDNN's algorithms for a convolution, in the library's numbers.
struct CudnnAlgorithm {
  int algorithm = 0;
  int math = 0;
  std::size_t workspace = 0;  ///< bytes
  bool is_deterministic = true;

  bool operator==(const CudnnAlgorithm&) const = default;
};

/// How many bytes of workspace an algorithm may have whose operands have so many; no more than the flag
/// metaopt.max_workspace says.
CROTON_API std::size_t most_conv_workspace(std::size_t operand_bytes);

/// The fastest of the candidates (in the order of the library's guess), which `seconds` measures: nothing
/// where one fails; `limit` is what it has to beat. One whose results are the same in every run is taken
/// where it is hardly slower. Nothing when all fail.
CROTON_API std::optional<CudnnAlgorithm> fastest_conv_algorithm(
    std::span<const CudnnAlgorithm> candidates,
    const std::function<std::optional<double>(const CudnnAlgorithm&, double limit)>& seconds);

/// What was chosen before for a problem, in this process or, by the cache on disk, in another. `problem`
/// names everything that the choice depends on: numbers, arithmetic, device, version of the library.
CROTON_API std::optional<CudnnAlgorithm> known_conv_algorithm(const std::string& problem);
CROTON_API void remember_conv_algorithm(const std::string& problem, const CudnnAlgorithm& choice);

}  // namespace croton
