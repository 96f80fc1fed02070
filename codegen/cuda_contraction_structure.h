#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "croton/codegen/cuda_contraction.h"

namespace croton {

/// C++ types: of an operand's elements in memory, of the numbers that are computed with, and of what the
/// launch that multiplies stores.
struct ContractionTypes {
  std::string_view element, value, result;
  explicit ContractionTypes(const CudaContraction& contraction);
};

/// Of a block that packs, splits or adds up elements.
inline constexpr std::int64_t threads_that_copy = 256;
/// Of each operand, whose largest factor they find.
inline constexpr std::int64_t blocks_that_scale = 256;

/// What the prelude's templates take: a structure NAME_cut of constants and index functions. What differs
/// between the parts of a contraction is a field of NAME_part.
struct ContractionStructure {
  std::string text;
  std::int64_t blocks = 0;          ///< that multiply
  std::int64_t packing_blocks = 0;  ///< that pack the other operand, of threads_that_copy
  std::uint32_t shared_bytes = 0;   ///< of a block that multiplies
};
ContractionStructure contraction_structure(const CudaContraction& contraction, const std::string& name);

}  // namespace croton
