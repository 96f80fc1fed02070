#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "croton/graph/export.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_memory.h"
#include "croton/runtime/result_pool.h"
#include "croton/runtime/spin_lock.h"

namespace croton {

/// Results that stay on a device: memory of the device's pool, in storages that are used again.
class CROTON_API CudaResultPool final : public ResultPool {
 public:
  /// `label`: what a report of the memory in use calls the blocks.
  CudaResultPool(CudaDevice& device, std::size_t bytes, std::shared_ptr<const std::string> label);
  ~CudaResultPool() override;

  /// The device's context is current.
  StorageRef take() override;

 private:
  class Block;
  void put_back(Block* block) noexcept;

  CudaDevice& device_;
  std::shared_ptr<const std::string> label_;
  SpinLock lock_;
  Block* free_ = nullptr;  // without memory
};

/// Results that a device computes and the host reads: pinned host memory, to which the device copies while
/// the host goes on. Reading waits for the copy (Storage::on_host).
class CROTON_API FetchedResultPool final : public ResultPool {
 public:
  FetchedResultPool(CudaDevice& device, std::size_t bytes);
  ~FetchedResultPool() override;

  /// The device's context is current.
  StorageRef take() override;
  /// The copy to this block has been enqueued: who reads it from now on waits for it.
  static void mark_pending(Storage& block);

 private:
  class Block;
  void add_blocks();
  void put_back(Block* block) noexcept;

  CudaDevice& device_;
  SpinLock lock_;
  Block* free_ = nullptr;
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<void*> slabs_;
};

/// Pinned host memory that is freed with its last tensor.
CROTON_API StorageRef make_pinned_storage(CudaDevice& device, std::size_t bytes);

}  // namespace croton
