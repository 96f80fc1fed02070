#include "croton/graph/host_memory.h"

#include <limits>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "croton/graph/tensor_storage.h"

namespace croton {
namespace {

constexpr std::size_t large_page = std::size_t{2} << 20;

std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t{bytes >= large_page ? large_page : tensor_alignment};
}

thread_local std::uint64_t allocated = 0;

}  // namespace

std::uint64_t blocks_allocated() noexcept { return allocated; }

void* allocate_block(std::size_t bytes) noexcept {
  ++allocated;
  if (bytes > std::numeric_limits<std::ptrdiff_t>::max() - large_page) return nullptr;
  void* block = ::operator new(bytes, alignment_of(bytes), std::nothrow);
#ifdef __linux__
  // Where the kernel has none or will not give them, small pages do.
  if (block != nullptr && bytes >= large_page) (void)madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

void free_block(void* block, std::size_t bytes) noexcept { ::operator delete(block, alignment_of(bytes)); }

}  // namespace croton
