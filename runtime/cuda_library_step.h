#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/lower.h"
#include "croton/graph/export.h"
#include "croton/graph/node.h"
#include "croton/runtime/cuda_driver.h"
#include "croton/runtime/device_info.h"

namespace croton {

class CudaDevice;

/// A node on a CUDA device that a library computes (cuBLASLt: matrix products; cuDNN: convolutions), prepared
/// for operands that lie in device memory as they were described when the step was made.
class CROTON_API CudaLibraryStep {
 public:
  virtual ~CudaLibraryStep() = default;
  CudaLibraryStep() = default;
  CudaLibraryStep(const CudaLibraryStep&) = delete;
  CudaLibraryStep& operator=(const CudaLibraryStep&) = delete;

  /// Enqueues the computation. buffers: device addresses of the first element of every input in order (a host
  /// address where the node's input is on the host), then of every output (an output in place has its input's
  /// address), then the scratch memory (256-byte aligned; null when scratch_bytes() is 0). The device's
  /// context is current. May be called while the stream is captured: it must neither synchronise nor allocate
  /// then; the first run is never captured. Calls on one device come one at a time.
  virtual void run(void* const* buffers, CUstream stream) = 0;
  /// What the addresses of all operands must be multiples of.
  virtual std::size_t alignment() const { return 1; }
  /// Bytes of scratch memory, whose contents do not matter between runs.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// Whether it must not run beside another such step of the device: the library may keep state.
  virtual bool is_exclusive() const { return false; }
  /// What of a product generated code has to do behind the step, in place: nothing, its activation, or first
  /// to add its row (lower_product_rest).
  enum class Rest : std::uint8_t { nothing, activation, row_and_activation };
  virtual Rest rest() const { return Rest::nothing; }
  /// What runs, for profiles: "cuBLASLt", "cuDNN implicit_precomp_gemm".
  virtual std::string description() const = 0;
};

/// The step of a node whose data operands are on `device`, lying as given (strides as in Layout). Null when
/// no library handles the node: the plan then asks for generated code.
CROTON_API std::unique_ptr<CudaLibraryStep> make_cuda_library_step(CudaDevice& device, const Node& node,
                                                                   std::span<const Layout> inputs,
                                                                   std::span<const Layout> outputs);

/// Whether a library will compute nodes of that op (by the op alone, not by shapes): what placement asks.
CROTON_API bool has_cuda_library_step(const Op& op);

/// Whether a library computes that product on a device with what the attribute activation and a row that is
/// added say. Waits until the library is open.
CROTON_API bool has_cuda_library_epilogues(const Node& product);

/// The libraries, for reports: whether each is found, where, its version.
CROTON_API std::vector<GpuPart> cuda_library_parts();

}  // namespace croton
