#pragma once

#include <cstddef>
#include <vector>

#include "croton/graph/dtype.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_product_layout.h"

namespace croton {

/// Memory for a product's operands, so that algorithms can be tried while a plan is made.
class ProductTrial {
 public:
  /// Operands of ordinary numbers. What is added lies where the sum does, as in a step that computes in
  /// place. The device's mutex is held while this lives. Throws MemoryError.
  ProductTrial(CudaDevice& device, const BlasProduct& product, DType dtype, std::size_t workspace_bytes);
  /// The memory goes back to the driver.
  ~ProductTrial();
  ProductTrial(const ProductTrial&) = delete;
  ProductTrial& operator=(const ProductTrial&) = delete;

  /// As CudaLibraryStep::run takes them.
  void* const* buffers() const { return buffers_.data(); }
  /// The first operand is nothing but NaN from now on, the result something else.
  void put_nan();
  /// The first column of the result is nothing but NaN. Waits for the device.
  bool result_is_nan() const;

 private:
  void provide(int buffer, std::size_t bytes);
  std::size_t bytes_of(const BlasMatrix& matrix) const;
  void* at(const BlasMatrix& matrix) const { return buffers_[static_cast<std::size_t>(matrix.buffer)]; }

  CudaDevice& device_;
  const BlasProduct& product_;
  DType dtype_;
  std::vector<StorageRef> memory_;
  std::vector<void*> buffers_;
};

}  // namespace croton
