#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "croton/codegen/loop_ir.h"

namespace croton {

/// The elements that one thread works on side by side: `packs` runs of `count` neighbouring values of
/// `variable`. In pack p the variable's first value is a multiple of `count`.
struct CudaLanes {
  std::int32_t variable = -1;
  int count = 1;
  int packs = 1;
  std::vector<bool> varies;  ///< per instruction: differs between lanes

  int total() const { return count * packs; }
};

/// Index expressions as text, in 32 bits wherever the bounds allow.
class CudaIndex {
 public:
  explicit CudaIndex(const Kernel& kernel) : k_(kernel) {}

  /// Whether the value of a lane needs the name of the lane.
  bool varies(const CudaLanes& lanes, std::int32_t id) const;
  /// How much the value grows from one lane of a pack to the next, where that is the same for all.
  std::optional<std::int64_t> stride(const CudaLanes& lanes, std::int32_t id) const;
  /// A number that divides the value in the first lane of every pack; 0 for the constant 0.
  std::int64_t multiple(const CudaLanes& lanes, std::int32_t id) const;

  /// Whether the expression needs 64 bits.
  bool is_wide(std::int32_t id) const;
  /// The text in lane `lane`; needs no parentheses.
  std::string text(const CudaLanes& lanes, std::int32_t id, int lane) const;

  std::string variable(const CudaLanes& lanes, std::int32_t number, int lane) const;
  std::string value(const CudaLanes& lanes, std::int32_t instruction, int lane) const;

 private:
  const IndexNode& node(std::int32_t id) const { return k_.indices[static_cast<std::size_t>(id)]; }
  std::string render(const CudaLanes& lanes, std::int32_t id, int lane, bool wide) const;
  std::string affine(const CudaLanes& lanes, const IndexNode& node, int lane, bool wide) const;
  std::string division(const CudaLanes& lanes, const IndexNode& node, int lane, bool wide) const;

  const Kernel& k_;
};

}  // namespace croton
