#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

class CudaDevice;

/// The memory of a device: large pieces from the driver, cut into blocks, kept and given out again. What runs
/// on the device is ordered by one stream, so a block may be given out again while the device still works on
/// what lay in it before. In the steady state taking and giving back allocate nothing.
///
/// The flag gpu.preallocate takes so much in one piece at the start, gpu.max_memory bounds what is taken.
class CROTON_API CudaMemory {
 public:
  /// A part of a piece. Neighbours are free or taken; free neighbours are always one block.
  struct Block {
    std::byte* address = nullptr;
    std::size_t bytes = 0;
    bool is_free = false;
    Block* before = nullptr;  // in the same piece
    Block* after = nullptr;
    Block* previous = nullptr;  // among the free blocks of like size
    Block* next = nullptr;
    std::shared_ptr<const std::string> label;
  };
  struct Usage {
    std::size_t in_use = 0;    ///< bytes in blocks that are out
    std::size_t reserved = 0;  ///< bytes taken from the driver
    std::size_t peak = 0;      ///< the most that was in use
    std::size_t pieces = 0;
  };

  explicit CudaMemory(CudaDevice& device);
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  /// A block of at least so many bytes, aligned to 512. The device's context is current. Throws MemoryError:
  /// what was asked for, what is free, what is in use.
  Block* take(std::size_t bytes, std::shared_ptr<const std::string> label = nullptr);
  void give_back(Block* block) noexcept;
  /// Gives pieces that are free as a whole back to the driver.
  void trim();
  Usage usage() const;

  static constexpr std::size_t granularity = 512;

 private:
  static constexpr std::size_t classes = 48;
  static std::size_t class_of(std::size_t bytes);
  Block* find(std::size_t bytes);
  Block* add_piece(std::size_t bytes);
  void insert_free(Block* block);
  void remove_free(Block* block);
  Block* new_block();
  void recycle(Block* block);
  std::size_t free_pieces();
  std::string largest_blocks(std::size_t most) const;
  [[noreturn]] void fail(std::size_t bytes);

  CudaDevice& device_;
  mutable std::mutex mutex_;
  std::array<Block*, classes> free_{};  // by the logarithm of their sizes
  std::vector<Block*> pieces_;          // the first block of each
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Block*> spare_;
  std::size_t most_bytes_ = 0;  // 0: no bound
  Usage usage_;
};

/// Pinned host memory for copies: buffers that are given out again once the copy that used them is done.
class CROTON_API PinnedBuffers {
 public:
  explicit PinnedBuffers(CudaDevice& device);
  ~PinnedBuffers();
  PinnedBuffers(const PinnedBuffers&) = delete;
  PinnedBuffers& operator=(const PinnedBuffers&) = delete;

  /// Copies host memory to the device in the order of its stream; returns when `from` may be reused.
  void upload(void* to, const void* from, std::size_t bytes);

 private:
  struct Buffer;
  static constexpr std::size_t most_bytes = std::size_t{8} << 20;  // of one buffer
  static constexpr std::size_t most_buffers = 8;                   // of a size, before one waits
  Buffer* take(std::size_t bytes);

  CudaDevice& device_;
  std::mutex mutex_;
  std::vector<std::vector<std::unique_ptr<Buffer>>> buffers_;  // by the logarithm of their sizes
};

}  // namespace croton
