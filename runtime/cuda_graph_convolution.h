#pragma once

#include <memory>

#include "croton/ops/cudnn_problem.h"
#include "croton/runtime/cuda_library_step.h"

namespace croton {

/// The step of a convolution whose operands lie as its op says (conv_layout_of), by one of the engines that
/// cuDNN has for a graph of one convolution: the fastest that the flags precision and deterministic allow, as
/// measured once a problem. DeviceError where there is none. The device's mutex is held by the caller.
std::unique_ptr<CudaLibraryStep> make_graph_convolution(CudaDevice& device, const Node& node,
                                                        const CudnnProblem& problem, int type);

}  // namespace croton
