#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>

#include "croton/runtime/cuda_conv_choice.h"
#include "croton/runtime/cuda_device.h"

namespace croton {

/// The fastest of cuDNN's algorithms (fastest_conv_algorithm), each run on memory of its own. `use` makes one
/// ready and tells its workspace in bytes; `run` enqueues it on two operands, the result and the workspace,
/// of which the first three have `bytes`. Nothing where none runs, or there is no memory. What throws
/// DeviceError is left out: the library refuses some that it has named.
std::optional<CudnnAlgorithm> measure_conv_algorithms(
    CudaDevice& device, std::span<const CudnnAlgorithm> candidates, const std::array<std::size_t, 3>& bytes,
    const std::function<std::size_t(const CudnnAlgorithm&)>& use,
    const std::function<void(void* const* buffers)>& run);

}  // namespace croton
