#pragma once

#include <cstdint>
#include <vector>

#include "croton/codegen/cuda_index.h"
#include "croton/codegen/cuda_schedule.h"
#include "croton/codegen/loop_ir.h"

namespace croton {

/// Marks in lanes.varies what differs between lanes in a block and the blocks inside. Locals that are
/// declared there differ.
void mark_varying(const Kernel& kernel, const std::vector<CudaArray>& arrays, CudaLanes& lanes,
                  std::int32_t block);

/// Instructions of a block and the blocks inside, each counted once.
std::int64_t cuda_code_size(const Kernel& kernel, std::int32_t block);

/// How many elements of a vector loop or phase of so many indices a thread works on side by side: 1, 2, 4, 8
/// or 16; more than one where that makes wide accesses of narrow ones.
int cuda_lane_count(const Kernel& kernel, const std::vector<CudaArray>& arrays, std::int32_t body,
                    std::int32_t variable, std::int64_t trips);

}  // namespace croton
