#include "croton/runtime/cuda_storage.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "croton/graph/error.h"
#include "croton/runtime/byte_text.h"

namespace croton {

/// What device storages do alike.
class OnCuda : public Storage {
 public:
  bool on_host() const override { return false; }
  Device device() const override { return Device::cuda(cuda().ordinal()); }
  void copy_to_host(void* destination, std::size_t offset, std::size_t size) const override {
    cuda().download(destination, static_cast<const std::byte*>(data()) + offset, size);
  }
  void copy_from_host(const void* source, std::size_t offset, std::size_t size) override {
    cuda().upload(static_cast<std::byte*>(data()) + offset, source, size);
  }

 protected:
  using Storage::Storage;
  virtual CudaDevice& cuda() const = 0;
};

namespace {

/// A block of the device's memory of its own.
class CudaStorage final : public OnCuda {
 public:
  CudaStorage(CudaDevice& device, CudaMemory::Block* block, std::size_t bytes)
      : OnCuda(block->address, bytes), device_(device), block_(block) {}
  ~CudaStorage() override { device_.memory().give_back(block_); }

 private:
  CudaDevice& cuda() const override { return device_; }
  CudaDevice& device_;
  CudaMemory::Block* block_;
};

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  const CUresult result = cuda_driver().cuMemHostAlloc(&memory, std::max<std::size_t>(bytes, 1), 0);
  if (result == cuda_out_of_memory) {
    throw MemoryError("out of memory: the host cannot give " + byte_text(bytes) +
                      " of memory that the GPU can reach");
  }
  check_cuda(result, "cuMemHostAlloc");
  return memory;
}

class PinnedStorage final : public Storage {
 public:
  explicit PinnedStorage(std::size_t bytes) : Storage(allocate_pinned(bytes), bytes) {}
  ~PinnedStorage() override { (void)cuda_driver().cuMemFreeHost(data()); }
};

}  // namespace

StorageRef CudaDevice::allocate(std::size_t bytes, std::shared_ptr<const std::string> label) {
  make_current();
  return StorageRef(new CudaStorage(*this, memory_->take(bytes, std::move(label)), bytes));
}

StorageRef make_pinned_storage(CudaDevice& device, std::size_t bytes) {
  device.make_current();
  return StorageRef(new PinnedStorage(bytes));
}

/// Holds its pool while it is out.
class CudaResultPool::Block final : public OnCuda {
 public:
  explicit Block(CudaDevice& device) : OnCuda(nullptr, 0), device_(device) {}
  void fill(CudaMemory::Block* block, std::size_t bytes) {
    block_ = block;
    reset(block->address, bytes);
  }
  void empty() noexcept {
    device_.memory().give_back(block_);
    reset(nullptr, 0);
  }

  Ref<CudaResultPool> home;
  Block* next = nullptr;

 private:
  CudaDevice& cuda() const override { return device_; }
  void release() noexcept override {
    empty();
    const Ref<CudaResultPool> pool = std::move(home);
    pool->put_back(this);
  }
  CudaDevice& device_;
  CudaMemory::Block* block_ = nullptr;
};

CudaResultPool::CudaResultPool(CudaDevice& device, std::size_t bytes,
                               std::shared_ptr<const std::string> label)
    : ResultPool(bytes), device_(device), label_(std::move(label)) {}

CudaResultPool::~CudaResultPool() {
  while (free_ != nullptr) {
    Block* block = free_;
    free_ = block->next;
    delete block;
  }
}

StorageRef CudaResultPool::take() {
  CudaMemory::Block* memory = device_.memory().take(bytes(), label_);
  Block* block = nullptr;
  {
    const std::lock_guard guard(lock_);
    if (free_ != nullptr) {
      block = free_;
      free_ = block->next;
    }
  }
  if (block == nullptr) block = new Block(device_);
  block->fill(memory, bytes());
  block->home = Ref<CudaResultPool>(this);
  return StorageRef(block);
}

void CudaResultPool::put_back(Block* block) noexcept {
  const std::lock_guard guard(lock_);
  block->next = free_;
  free_ = block;
}

/// Several lie in one piece of pinned memory, which is dear to get.
class FetchedResultPool::Block final : public Storage {
 public:
  Block(CudaDevice& device, void* data, std::size_t bytes) : Storage(data, bytes), arrived_(device) {}
  bool on_host() const override {
    if (is_pending_.load(std::memory_order_acquire)) {
      arrived_.wait();
      is_pending_.store(false, std::memory_order_release);
    }
    return true;
  }
  void copy_to_host(void* destination, std::size_t offset, std::size_t size) const override {
    on_host();
    Storage::copy_to_host(destination, offset, size);
  }
  void mark_pending() {
    arrived_.record();
    is_pending_.store(true, std::memory_order_release);
  }

  Ref<FetchedResultPool> home;
  Block* next = nullptr;

 private:
  void release() noexcept override {
    const Ref<FetchedResultPool> pool = std::move(home);
    pool->put_back(this);
  }
  CudaEvent arrived_;
  mutable std::atomic<bool> is_pending_{false};
};

FetchedResultPool::FetchedResultPool(CudaDevice& device, std::size_t bytes)
    : ResultPool(bytes), device_(device) {}

FetchedResultPool::~FetchedResultPool() {
  blocks_.clear();
  for (void* slab : slabs_) (void)cuda_driver().cuMemFreeHost(slab);
}

StorageRef FetchedResultPool::take() {
  const std::lock_guard guard(lock_);
  if (free_ == nullptr) add_blocks();
  Block* block = free_;
  free_ = block->next;
  block->home = Ref<FetchedResultPool>(this);
  return StorageRef(block);
}

void FetchedResultPool::add_blocks() {
  constexpr std::size_t slab_bytes = std::size_t{16} << 10;
  const std::size_t step =
      (std::max<std::size_t>(bytes(), 1) + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
  const std::size_t count = std::clamp<std::size_t>(slab_bytes / step, 1, 64);
  auto* slab = static_cast<std::byte*>(allocate_pinned(count * step));
  slabs_.push_back(slab);
  for (std::size_t i = 0; i < count; ++i) {
    blocks_.push_back(std::make_unique<Block>(device_, slab + i * step, bytes()));
    blocks_.back()->next = free_;
    free_ = blocks_.back().get();
  }
}

void FetchedResultPool::put_back(Block* block) noexcept {
  const std::lock_guard guard(lock_);
  block->next = free_;
  free_ = block;
}

void FetchedResultPool::mark_pending(Storage& block) { static_cast<Block&>(block).mark_pending(); }

}  // namespace croton
