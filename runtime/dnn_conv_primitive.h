#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <string>

#include "croton/ops/conv_problem.h"

namespace croton {

const dnnl::engine& cpu_engine();
/// The memory that a primitive works in is given to it.
dnnl::primitive_attr user_scratchpad();

/// oneDNN's convolution of one direction, and the formats that it wants.
struct DnnConvPrimitive {
  dnnl::primitive primitive;
  dnnl::memory::desc image, filters, output, scratchpad;
  std::string implementation;
};

/// For a part of a two-dimensional float32 problem: operands of these extents. Throws dnnl::error where
/// oneDNN has none.
DnnConvPrimitive make_conv_primitive(const ConvProblem& problem, const dnnl::memory::dims& image,
                                     const dnnl::memory::dims& filters, const dnnl::memory::dims& output);

}  // namespace croton
