#include "croton/runtime/block_pool.h"

#include <mutex>
#include <new>
#include <string>

#include "croton/graph/error.h"
#include "croton/graph/host_memory.h"

namespace croton {

/// The object lies in front of its memory in one allocation. It holds its pool while it is out.
class BlockPool::Block final : public Storage {
 public:
  static constexpr std::size_t header = tensor_alignment;

  static Block* make(std::size_t bytes) {
    void* memory = allocate_block(header + bytes);
    if (memory == nullptr) {
      throw MemoryError("out of memory: the host cannot give " + std::to_string(bytes) +
                        " bytes for a result");
    }
    return new (memory) Block(static_cast<std::byte*>(memory) + header, bytes);
  }

  void destroy() noexcept {
    const std::size_t size = header + bytes();
    this->~Block();
    free_block(this, size);
  }

  Ref<BlockPool> home;
  Block* next = nullptr;

 private:
  Block(void* data, std::size_t bytes) : Storage(data, bytes) {}
  void release() noexcept override {
    const Ref<BlockPool> pool = std::move(home);
    pool->put_back(this);
  }
};

BlockPool::~BlockPool() {
  while (free_ != nullptr) {
    Block* block = free_;
    free_ = block->next;
    block->destroy();
  }
}

StorageRef BlockPool::take() {
  static_assert(sizeof(Block) <= Block::header);
  Block* block = nullptr;
  {
    const std::lock_guard guard(lock_);
    if (free_ != nullptr) {
      block = free_;
      free_ = block->next;
      --free_count_;
    }
  }
  if (block == nullptr) block = Block::make(bytes());
  block->home = Ref<BlockPool>(this);
  return StorageRef(block);
}

void BlockPool::put_back(Block* block) noexcept {
  {
    const std::lock_guard guard(lock_);
    if (free_count_ < most_free_blocks) {
      block->next = free_;
      free_ = block;
      ++free_count_;
      return;
    }
  }
  block->destroy();
}

}  // namespace croton
