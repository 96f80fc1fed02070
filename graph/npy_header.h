#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "croton/graph/dtype.h"
#include "croton/graph/export.h"
#include "croton/graph/shape.h"

namespace croton {

/// What stands before the elements in a .npy file
/// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
struct NpyHeader {
  DType dtype = DType::float32;
  Shape shape;
  bool big_endian = false;
  bool fortran_order = false;
  /// Where the elements begin.
  std::size_t data_offset = 0;
  /// How many bytes they take.
  std::size_t data_bytes = 0;
};

/// No header that describes one array is longer; a file that says otherwise is refused.
inline constexpr std::size_t longest_npy_header = 1 << 16;

/// Reads the header out of the first bytes of a file: all of them, or at least longest_npy_header. `total` is
/// the size of the file, which must hold just the elements that the header announces. Throws FileError, with
/// `name` in front.
CROTON_API NpyHeader parse_npy_header(std::span<const std::byte> start, std::uint64_t total,
                                      std::string_view name);

/// The header that NumPy writes for such a C-ordered array: a multiple of 64 bytes.
CROTON_API std::string npy_header_text(DType dtype, const Shape& shape);

}  // namespace croton
