#pragma once

#include <string_view>

#include "croton/graph/op.h"
#include "croton/graph/variable.h"

namespace croton {

/// gpu_from_host(x): a copy of host memory on attribute `device` ("cuda0").
CROTON_API const Op& gpu_from_host_op();
/// host_from_gpu(x): a copy of a device's memory on the host.
CROTON_API const Op& host_from_gpu_op();
/// gpu_to_gpu(x): a copy of a device's memory on another one, attribute `device`.
CROTON_API const Op& gpu_to_gpu_op();
/// One of the three.
CROTON_API bool is_transfer(const Op& op);

/// x on the first CUDA device, or the one named ("cuda1"). x itself where it is there already.
CROTON_API Variable gpu_from_host(const Operand& x, std::string_view device = "cuda");
/// x on the host. x itself where it is there already.
CROTON_API Variable host_from_gpu(const Operand& x);
/// A copy in C order on x's CUDA device; where x is on the host, on the first one.
CROTON_API Variable gpu_contiguous(const Operand& x);
/// x on a device: "cpu", "cuda", "cuda1". A function that gives such a variable as an output returns a tensor
/// that lies there. Throws ValueError for what is no device.
CROTON_API Variable transfer(const Operand& x, std::string_view device);
CROTON_API Variable transfer(const Operand& x, Device device);

}  // namespace croton
