#include "croton/graph/tensor_storage.h"

#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "croton/graph/error.h"
#include "croton/graph/host_memory.h"

namespace croton {
namespace {

/// The object lies in front of its memory in the same block.
class HostStorage final : public Storage {
 public:
  static constexpr std::size_t header = tensor_alignment;

  static HostStorage* make(std::size_t bytes) {
    void* block = nullptr;
    if (bytes <= std::numeric_limits<std::ptrdiff_t>::max() - header) block = allocate_block(header + bytes);
    if (!block)
      throw MemoryError("out of memory: the host cannot give " + std::to_string(bytes) +
                        " bytes for a tensor");
    return new (block) HostStorage(static_cast<std::byte*>(block) + header, bytes);
  }

 private:
  HostStorage(void* data, std::size_t bytes) : Storage(data, bytes) {}
  void release() noexcept override {
    const std::size_t size = header + bytes();
    this->~HostStorage();
    free_block(this, size);
  }
};
static_assert(sizeof(HostStorage) <= HostStorage::header);

class ViewStorage final : public Storage {
 public:
  ViewStorage(void* data, std::size_t bytes, std::shared_ptr<void> owner)
      : Storage(data, bytes), owner_(std::move(owner)) {}

 private:
  std::shared_ptr<void> owner_;
};

}  // namespace

void Storage::copy_to_host(void* destination, std::size_t offset, std::size_t bytes) const {
  if (bytes) std::memcpy(destination, static_cast<const std::byte*>(data_) + offset, bytes);
}

void Storage::copy_from_host(const void* source, std::size_t offset, std::size_t bytes) {
  if (bytes) std::memcpy(static_cast<std::byte*>(data_) + offset, source, bytes);
}

StorageRef make_host_storage(std::size_t bytes) { return StorageRef(HostStorage::make(bytes)); }

StorageRef make_view_storage(void* data, std::size_t bytes, std::shared_ptr<void> owner) {
  return StorageRef(new ViewStorage(data, bytes, std::move(owner)));
}

}  // namespace croton
