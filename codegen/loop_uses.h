#pragma once

#include <cstdint>
#include <vector>

#include "croton/codegen/loop_ir.h"

namespace croton {

/// Facts about a kernel that every executor of it needs to agree on.
struct KernelUses {
  explicit KernelUses(const Kernel& kernel);

  /// Per instruction: a product (mul of floating values) whose only use is one addend of an add or sub, or
  /// what a `reduce add` adds: the two are rounded once, as fma. The rule is the kernel's, so results agree
  /// however a kernel is cut.
  std::vector<bool> is_fused;
  /// Per block: what its vector loop needs to know.
  struct BlockFacts {
    std::vector<std::int32_t> locals_declared;  ///< in it and in the blocks inside
    struct Reduction {
      std::int32_t local = -1;
      std::int32_t second = -1;
      ScalarOp op = ScalarOp::add;
    };
    std::vector<Reduction> reductions;  ///< into locals of outside
    int widest_float = 0;               ///< bytes of the largest floating element computed with
    int widest = 1;                     ///< bytes of the largest element computed with or accessed
    int narrowest_access = 8;           ///< bytes of the smallest element of memory accessed
    int operations = 0;
    int functions = 0;  ///< exp, tanh, …
    bool has_inner_loop = false;
  };
  std::vector<BlockFacts> blocks;
};

}  // namespace croton
