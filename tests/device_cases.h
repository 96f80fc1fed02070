#pragma once

#include "croton/graph/tensor.h"
#include "croton/runtime/function.h"

/// What holds for two GPUs in one process, real ones or those of the fake driver. The flag device is a GPU
/// but for transfers.
namespace croton::test {

/// 0, 0.5, 1, …
Tensor halves(std::int64_t count);
void check_targets();
/// The function that was called.
Function check_two_devices();
void check_transfers_between_devices();
void check_random_graphs_on_two_devices();

}  // namespace croton::test
