#pragma once

#include <memory>
#include <span>

#include "croton/runtime/cuda_library_step.h"

namespace croton {

/// cuDNN's step for a convolution or a gradient of one whose operands lie C-contiguously, by the algorithm
/// that the node's attribute `algo` says (ops/conv_implementations.h). Without it the one that was measured
/// to be the fastest among those that the flag precision allows (measured once a problem, kept in the cache
/// on disk). With the flag deterministic only those whose results are the same in every run are chosen from,
/// by the library's heuristic. Nothing where cuDNN has none; DeviceError where it refuses the algorithm by
/// name.
std::unique_ptr<CudaLibraryStep> make_cuda_convolution(CudaDevice& device, const Node& node,
                                                       std::span<const Layout> inputs,
                                                       std::span<const Layout> outputs);

/// Why cuDNN does not work on a device, with how to get it; empty where it does.
std::string cudnn_start_problem(CudaDevice& device);

}  // namespace croton
