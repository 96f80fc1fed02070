#pragma once

#include <atomic>
#include <cstddef>

#include "croton/graph/export.h"
#include "croton/graph/ref.h"
#include "croton/graph/tensor_storage.h"

namespace croton {

/// Blocks of memory of one size for the results of a plan. A block is a Storage; when the last tensor over it
/// dies, it comes back here (from any thread) and is given out again. The pool lives as long as anybody holds
/// it or one of its blocks.
class CROTON_API ResultPool {
 public:
  explicit ResultPool(std::size_t bytes) : bytes_(bytes) {}
  virtual ~ResultPool() = default;
  ResultPool(const ResultPool&) = delete;
  ResultPool& operator=(const ResultPool&) = delete;

  /// A block that nobody else holds; its contents are undefined. Allocates only when none is free. Throws
  /// MemoryError.
  virtual StorageRef take() = 0;
  std::size_t bytes() const { return bytes_; }

  void acquire() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  const std::size_t bytes_;
  mutable std::atomic<std::size_t> references_{0};
};

}  // namespace croton
