#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "croton/graph/device.h"
#include "croton/graph/export.h"

namespace croton {

/// Memory that tensors share. Counts its references itself, so that a tensor over an existing storage
/// allocates nothing. Subclasses own host or device memory, or a block of a pool that release() gives back.
class CROTON_API Storage {
 public:
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  virtual ~Storage() = default;

  /// The first byte, in the address space that on_host() tells.
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  /// The CPU can read and write data(). Where a copy from a device is on its way this waits for it: so asking
  /// comes before reading.
  virtual bool on_host() const { return true; }
  /// Where data() lies, without waiting.
  virtual Device device() const { return {}; }
  /// Copies `bytes` bytes from `offset` on to host memory; returns when they have arrived.
  virtual void copy_to_host(void* destination, std::size_t offset, std::size_t bytes) const;
  /// Copies `bytes` bytes of host memory to `offset`; returns when `source` may be reused.
  virtual void copy_from_host(const void* source, std::size_t offset, std::size_t bytes);
  /// Nobody else holds this storage: a holder that knows of no other may write to it.
  bool is_unique() const { return references_.load(std::memory_order_acquire) == 1; }

 protected:
  Storage(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  /// The last reference is gone. Deletes this unless a subclass does something else with the memory; it may
  /// hand the same object out again.
  virtual void release() noexcept { delete this; }
  void reset(void* data, std::size_t bytes) {
    data_ = data;
    bytes_ = bytes;
  }

 private:
  friend class StorageRef;
  void* data_;
  std::size_t bytes_;
  mutable std::atomic<std::uint32_t> references_{0};
};

/// A counted reference to a Storage; may be null. Making the first one takes the storage over.
class StorageRef {
 public:
  StorageRef() = default;
  explicit StorageRef(Storage* storage) : storage_(storage) { acquire(); }
  StorageRef(const StorageRef& other) : storage_(other.storage_) { acquire(); }
  StorageRef(StorageRef&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  StorageRef& operator=(StorageRef other) noexcept {
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~StorageRef() {
    if (storage_ && storage_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) storage_->release();
  }

  Storage* get() const { return storage_; }
  Storage* operator->() const { return storage_; }
  Storage& operator*() const { return *storage_; }
  explicit operator bool() const { return storage_ != nullptr; }
  friend bool operator==(const StorageRef& a, const StorageRef& b) = default;

 private:
  void acquire() {
    if (storage_) storage_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  Storage* storage_ = nullptr;
};

/// Where every allocation of tensor memory begins, in bytes: a cache line, and the widest vector register.
inline constexpr std::size_t tensor_alignment = 64;

/// Uninitialised host memory, aligned to tensor_alignment, in one allocation with its counter. Throws
/// MemoryError.
CROTON_API StorageRef make_host_storage(std::size_t bytes);
/// Host memory that somebody else owns; `owner`, when given, lives as long as the storage.
CROTON_API StorageRef make_view_storage(void* data, std::size_t bytes, std::shared_ptr<void> owner = nullptr);

}  // namespace croton
