#pragma once

#include <string>

#include "croton/ops/conv_problem.h"

namespace croton {

/// Which limit of cuda-convnet a convolution exceeds, where the flag strict_cuda_convnet asks for them; empty
/// where it exceeds none. Unknown extents (-1) exceed none.
CROTON_API std::string strict_cuda_convnet_limit(const ConvProblem& problem);
/// The same for pooling and normalization over images in c01b.
CROTON_API std::string strict_cuda_convnet_pool_limit(const Shape& images);

}  // namespace croton
