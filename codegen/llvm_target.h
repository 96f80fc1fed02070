#pragma once

#include <memory>
#include <string>

#include "croton/codegen/compiled_kernel.h"

namespace llvm {
class TargetMachine;
}

namespace croton {

/// A Target with everything filled in, and what the emitter wants to know of it.
struct TargetInfo {
  std::string cpu;
  std::string features;
  int vector_bytes = 16;
  bool has_avx2 = false;
  bool has_avx512 = false;  ///< F, BW, DQ and VL: masks for every element size, on vectors of every width
  bool has_fma = false;
  bool has_f16c = false;

  /// Whether a masked load of elements of so many bytes is one instruction.
  bool has_masked_access(unsigned bytes) const { return has_avx512 || (has_avx2 && bytes >= 4); }
};

/// Fills in what the target leaves open from this machine. Throws ValueError for a cpu that LLVM does not
/// know.
TargetInfo resolve(const Target& target);

/// A new code generator for it; one thread may use it at a time.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const TargetInfo& info);

}  // namespace croton
