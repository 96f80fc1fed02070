#pragma once

#include <memory>
#include <span>

#include "croton/runtime/library_step.h"

namespace croton {

/// dnn_conv of float32: oneDNN's convolution in the formats that it likes best, with the reorders from and to
/// ours, in slices of the batch (or of filters or channels) on the threads of our pool.
std::unique_ptr<LibraryStep> make_dnn_convolution(const Node& node, std::span<const Layout> inputs,
                                                  std::span<const Layout> outputs);

/// "2.6.3": of the library that is loaded.
std::string dnn_version();

}  // namespace croton
