#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/lower.h"

namespace croton {

/// A nest of loops over operands: one extent a loop, outermost first, and for each operand one stride a loop.
struct IterationSpace {
  std::vector<std::int64_t> extents;
  std::vector<std::vector<std::int64_t>> strides;  // [operand][loop]

  std::size_t loops() const { return extents.size(); }
  std::int64_t count() const;
  /// Keeps only these loops.
  IterationSpace only(std::span<const std::size_t> loops) const;
  /// Leaves out loops of extent 1, merges neighbours that every operand walks through in one stride, and,
  /// with `reorder`, first sorts the loops by the strides of operand `leader` (largest outermost).
  void simplify(bool reorder, std::size_t leader = 0);
};

/// The loops of elementwise work over `shape`: operands of that rank, an axis of extent 1 broadcasts (stride
/// 0).
IterationSpace iterate(const Shape& shape, std::span<const Layout> operands);

/// The offset of each operand at the given loop indices.
Index offset_of(const IterationSpace& space, std::size_t operand, std::span<const Index> indices);

/// A phase that runs `body` for every element of the space, in parallel, its last loop as a vector loop where
/// it is long enough (on a GPU all elements are lanes of one phase). The body gets one index a loop.
void for_each_element(KernelBuilder& b, const IterationSpace& space,
                      const std::function<void(std::span<const Index>)>& body);

/// Rows shorter than this are not worth a vector loop of their own.
inline constexpr std::int64_t shortest_vector_row = 8;

/// One index over several loops, taken apart: entry i is the index of loop i.
std::vector<Index> split_index(Index flat, std::span<const std::int64_t> extents);

}  // namespace croton
