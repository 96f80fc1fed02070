#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "croton/codegen/lower.h"
#include "croton/graph/export.h"
#include "croton/graph/node.h"

namespace croton {

/// A node that a library computes (oneDNN: matrix products, convolutions), prepared for operands that lie in
/// memory as they were described when the step was made.
class CROTON_API LibraryStep {
 public:
  virtual ~LibraryStep() = default;
  LibraryStep() = default;
  LibraryStep(const LibraryStep&) = delete;
  LibraryStep& operator=(const LibraryStep&) = delete;

  /// Computes the outputs. buffers: the first element of every input in order, then of every output (an
  /// output in place has its input's address), then the scratch memory (64-byte aligned; null when
  /// scratch_bytes() is 0). Runs on the threads of ThreadPool::instance(); may be called by several threads
  /// at once on different buffers. In the steady state it allocates nothing.
  virtual void run(void* const* buffers) = 0;
  /// Bytes of scratch memory, whose contents do not matter between runs.
  virtual std::size_t scratch_bytes() const { return 0; }
  /// What runs, for profiles: "oneDNN brgemm:avx512_core".
  virtual std::string description() const = 0;
};

/// The step of a node of a specialised graph whose operands lie as given (strides as in Layout). Null when no
/// library handles the node or generated code does it better at this size: so a plan asks here first, then
/// lower(), then falls back on the reference evaluator.
CROTON_API std::unique_ptr<LibraryStep> make_library_step(const Node& node, std::span<const Layout> inputs,
                                                          std::span<const Layout> outputs);

}  // namespace croton
