#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "croton/codegen/loop_ir.h"
#include "croton/graph/export.h"

namespace croton {

/// Where a buffer of a kernel lies. Buffers of different blocks do not overlap; those of one block may, and
/// are the same where they begin at the same offset.
struct BufferPlace {
  std::int32_t block = -1;
  std::int64_t offset = 0;
  bool operator==(const BufferPlace&) const = default;
};

/// Joins phase `second` of a kernel to the phase before it, so that one body does the work of both for an
/// index: a row, or an element. That is possible where both have as many indices, and the second reads of
/// what the first writes only what the same index has written, as a value, and writes over nothing else that
/// the first touches. What both read in vector loops of
/// the same bounds is kept in an array between them. False, and nothing is changed, where it is not possible.
CROTON_API bool fuse_phases(Kernel& kernel, std::size_t second, std::span<const BufferPlace> places);

}  // namespace croton
