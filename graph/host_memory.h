#pragma once

#include <cstddef>
#include <cstdint>

#include "croton/graph/export.h"

namespace croton {

/// Memory for elements, aligned to tensor_alignment at least; nullptr when there is none. A large block is
/// aligned to the machine's large pages and asks for them: fewer page faults, and walks across rows do not
/// run out of address translations (a transpose takes half the time).
CROTON_API void* allocate_block(std::size_t bytes) noexcept;
/// `bytes` as they were asked for.
CROTON_API void free_block(void* block, std::size_t bytes) noexcept;

/// How many blocks this thread has allocated.
CROTON_API std::uint64_t blocks_allocated() noexcept;

}  // namespace croton
