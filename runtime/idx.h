#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "croton/graph/export.h"
#include "croton/graph/tensor.h"

namespace croton {

/// Reads an IDX file, the format of the MNIST digits (Y. LeCun): two zero bytes, a byte for the dtype (8
/// uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64), a byte for the rank, the extents as big-endian
/// uint32, the elements big endian in C order. Gzipped files are recognised by their first bytes, whatever
/// their name. Throws FileError.
CROTON_API Tensor read_idx(const std::string& path);
/// The same out of memory; `name` stands for the file in errors. Allocates in proportion to what the bytes
/// can hold.
CROTON_API Tensor parse_idx(std::span<const std::byte> bytes, std::string_view name);

}  // namespace croton
