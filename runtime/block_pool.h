#pragma once

#include <cstddef>

#include "croton/graph/export.h"
#include "croton/runtime/result_pool.h"
#include "croton/runtime/spin_lock.h"

namespace croton {

/// Blocks of host memory.
class CROTON_API BlockPool final : public ResultPool {
 public:
  /// More free blocks than that are given back to the system.
  static constexpr std::size_t most_free_blocks = 16;

  explicit BlockPool(std::size_t bytes) : ResultPool(bytes) {}
  ~BlockPool() override;

  StorageRef take() override;

 private:
  class Block;
  void put_back(Block* block) noexcept;

  SpinLock lock_;
  Block* free_ = nullptr;
  std::size_t free_count_ = 0;
};

}  // namespace croton
