#include "croton/runtime/cuda_conv_timing.h"

#include <mutex>
#include <vector>

#include "croton/graph/error.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/cuda_timing.h"

namespace croton {

std::optional<CudnnAlgorithm> measure_conv_algorithms(
    CudaDevice& device, std::span<const CudnnAlgorithm> candidates, const std::array<std::size_t, 3>& bytes,
    const std::function<std::size_t(const CudnnAlgorithm&)>& use,
    const std::function<void(void* const* buffers)>& run) {
  constexpr unsigned char filling = 0x3c;  // ordinary numbers in every type: 0x3c3c3c3c is 0.0115
  const std::lock_guard guard(device.mutex());
  std::vector<StorageRef> memory;
  std::array<void*, 4> buffers{};
  try {
    for (const std::size_t size : bytes) {
      memory.push_back(device.allocate(size));
      buffers[memory.size() - 1] = memory.back()->data();
      device.fill(memory.back()->data(), filling, size);
    }
  } catch (const MemoryError&) {
    return std::nullopt;
  }
  const auto seconds = [&](const CudnnAlgorithm& candidate, double limit) -> std::optional<double> {
    try {
      const std::size_t workspace_bytes = use(candidate);
      StorageRef workspace;
      if (workspace_bytes > 0) workspace = device.allocate(workspace_bytes);
      buffers[3] = workspace_bytes > 0 ? workspace->data() : nullptr;
      return device_seconds(device, [&] { run(buffers.data()); }, limit);
    } catch (const MemoryError&) {
    } catch (const DeviceError&) {
    }
    return std::nullopt;
  };
  const std::optional<CudnnAlgorithm> best = fastest_conv_algorithm(candidates, seconds);
  memory.clear();
  device.memory().trim();
  return best;
}

}  // namespace croton
