#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "croton/graph/node.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/tensor.h"

namespace croton {

/// Copies of arguments and shared values in one block of memory, with unused bytes around each: what writes
/// to them shows.
class GuardedLeaves {
 public:
  /// How a copy of a tensor lies.
  enum class Strides { contiguous, columns_first, padded, reversed };

  /// `misalignment` (bytes, a multiple of 8) is added to where each begins.
  GuardedLeaves(std::span<const Tensor* const> inputs, std::span<SharedCell* const> shared, Strides strides,
                std::size_t misalignment);

  const Tensor* const* inputs() const { return pointers_.data(); }
  std::vector<Shape> input_strides() const;
  /// Cells of their own that hold the copies; in the order of `shared`.
  SharedCell* const* shared() const { return cell_pointers_.data(); }
  std::span<std::byte> memory() const { return {static_cast<std::byte*>(block_->data()), block_->bytes()}; }

 private:
  StorageRef block_;
  std::vector<Tensor> inputs_;
  std::vector<const Tensor*> pointers_;
  std::vector<std::unique_ptr<SharedCell>> cells_;
  std::vector<SharedCell*> cell_pointers_;
};

}  // namespace croton
