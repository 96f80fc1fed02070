#pragma once

#include <atomic>
#include <cstddef>

#include "croton/graph/export.h"
#include "croton/graph/ref.h"
#include "croton/graph/tensor_storage.h"
#include "croton/runtime/spin_lock.h"

namespace croton {

/// Blocks of host memory of one size for the results of a plan. A block is a Storage; when the last tensor
/// over it dies, it comes back here (from any thread) and is given out again. The pool lives as long as
/// anybody holds it or one of its blocks.
class CROTON_API BlockPool {
 public:
  /// More free blocks than that are given back to the system.
  static constexpr std::size_t most_free_blocks = 16;

  explicit BlockPool(std::size_t bytes) : bytes_(bytes) {}
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// A block that nobody else holds; its contents are undefined. Allocates only when none is free. Throws
  /// MemoryError.
  StorageRef take();
  std::size_t bytes() const { return bytes_; }

  void acquire() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  class Block;
  void put_back(Block* block) noexcept;

  const std::size_t bytes_;
  mutable std::atomic<std::size_t> references_{0};
  SpinLock lock_;
  Block* free_ = nullptr;
  std::size_t free_count_ = 0;
};

}  // namespace croton
