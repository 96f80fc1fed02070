#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"

namespace croton {

namespace {

std::string mismatch(std::size_t first, std::size_t second, std::size_t axis, std::int64_t first_extent,
                     std::int64_t second_extent) {
  return fmt::format("Input dimension mis-match. (input[{0}].shape[{2}] = {3}, input[{1}].shape[{2}] = {4})",
                     first, second, axis, first_extent, second_extent);
}

void check_ranks(std::span<const Variable> inputs) {
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].rank() != inputs[0].rank()) {
      throw TypeError(
          fmt::format("operands of an elementwise node have one rank; input[0] has {}, input[{}] has {}: "
                      "add axes with dimshuffle",
                      inputs[0].rank(), i, inputs[i].rank()));
    }
  }
}

}  // namespace

Shape broadcast_types(std::span<const Variable> inputs) {
  check_ranks(inputs);
  Shape result = inputs[0].type().shape;
  std::array<std::size_t, max_rank> decided{};  // which input gave the extent of an axis
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const Shape& shape = inputs[i].type().shape;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const std::int64_t extent = shape[axis];
      std::int64_t& all = result[axis];
      if (extent == 1 || extent == all) continue;
      if (all == 1 || all == unknown) {
        if (all == 1 || extent != unknown) {
          all = extent;
          decided[axis] = i;
        }
      } else if (extent != unknown) {
        throw ShapeError(mismatch(decided[axis], i, axis, all, extent));
      }
    }
  }
  return result;
}

Shape broadcast_shape(const Node& node, std::span<const Shape> shapes) {
  const std::size_t rank = node.input(0).type().shape.size();
  Shape result = Shape::filled(rank, 1);
  for (std::size_t axis = 0; axis < rank; ++axis) {
    std::size_t decided = shapes.size();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const std::int64_t expected = node.input(i).type().shape[axis];
      const std::int64_t extent = shapes[i][axis];
      if (expected != unknown && extent != expected) {
        throw ShapeError(fmt::format("input[{}].shape[{}] = {}, but its type says {}\n  it is {}", i, axis,
                                     extent, expected, describe(node.input(i))));
      }
      if (expected == 1) continue;
      if (decided == shapes.size()) {
        decided = i;
        result[axis] = extent;
      } else if (extent != result[axis]) {
        std::string text = mismatch(decided, i, axis, result[axis], extent);
        if (extent == 1 || result[axis] == 1) {
          const std::size_t one = extent == 1 ? i : decided;
          text += fmt::format(
              "\n  an extent of 1 broadcasts only where the type says 1, and input[{}] is {}\n  declare it "
              "with that "
              "extent: tensor(dtype, shape) with 1 at axis {}, row() or col(); a shared variable with its "
              "option shape",
              one, describe(node.input(one)), axis);
        }
        throw ShapeError(text);
      }
    }
  }
  return result;
}

std::vector<std::pair<int, int>> elementwise_inplace_candidates(const Node& node) {
  std::vector<std::pair<int, int>> pairs;
  for (std::size_t output = 0; output < node.output_count(); ++output) {
    const TensorType& type = node.type(output);
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const TensorType& input = node.input(i).type();
      if (input.dtype != type.dtype || input.rank() != type.rank()) continue;
      bool broadcast = false;
      for (int axis = 0; axis < type.rank(); ++axis) {
        broadcast = broadcast || (input.broadcastable(axis) && !type.broadcastable(axis));
      }
      if (!broadcast) pairs.emplace_back(static_cast<int>(output), static_cast<int>(i));
    }
  }
  return pairs;
}

Variable sum_to(const Variable& gradient, const Variable& input) {
  if (gradient.rank() != input.rank()) {
    throw InternalError(
        fmt::format("a gradient of type {} for {}", to_string(gradient.type()), describe(input)));
  }
  std::vector<std::int64_t> axes;
  for (int axis = 0; axis < input.rank(); ++axis) {
    if (input.type().broadcastable(axis) && !gradient.type().broadcastable(axis)) axes.push_back(axis);
  }
  if (axes.empty()) return gradient;
  return restore_axes(reduce(*find_reduce("sum"), gradient, axes), axes);
}

}  // namespace croton
