#include "croton/ops/cudnn_problem.h"

#include <fmt/format.h>

#include <limits>

namespace croton {

namespace {

std::vector<int> integers(const Shape& shape) {
  std::vector<int> result;
  for (int axis = 0; axis < shape.rank(); ++axis) result.push_back(static_cast<int>(shape[axis]));
  return result;
}

}  // namespace

std::optional<CudnnProblem> cudnn_problem(const ConvProblem& p, std::string& reason) {
  const Shape shapes[] = {p.image_shape(), p.filter_shape(), p.out_shape()};
  for (const Shape& shape : shapes) {
    if (shape.count() == 0) {
      reason = "an operand has no elements";
      return std::nullopt;
    }
    if (shape.count() > std::numeric_limits<int>::max()) {
      reason = fmt::format("an operand has {} elements; cuDNN counts to 2^31", shape.count());
      return std::nullopt;
    }
  }
  if (p.rank < 1 || p.rank > 3) {
    reason = fmt::format("{} spatial axes; cuDNN has 1 to 3", p.rank);
    return std::nullopt;
  }
  for (int axis = 0; axis < p.rank; ++axis) {
    // cuDNN pads both ends alike. What the last window does not reach does not matter.
    const std::int64_t padded = p.image[axis] + 2 * p.pad_lo[axis] - p.dilated_kernel(axis);
    if (padded < 0 || padded / p.stride[axis] + 1 != p.out[axis]) {
      reason = fmt::format("padding of {} in front of an axis and {} behind it; cuDNN pads both alike",
                           p.pad_lo[axis], p.pad_hi[axis]);
      return std::nullopt;
    }
  }
  CudnnProblem result{
      integers(shapes[0]), integers(shapes[1]),  integers(shapes[2]),        integers(p.pad_lo),
      integers(p.stride),  integers(p.dilation), static_cast<int>(p.groups), p.flip};
  if (p.rank == 1) {
    for (std::vector<int>* shape : {&result.image, &result.filters, &result.output}) {
      shape->insert(shape->begin() + 2, 1);
    }
    result.pad.insert(result.pad.begin(), 0);
    result.stride.insert(result.stride.begin(), 1);
    result.dilation.insert(result.dilation.begin(), 1);
  }
  return result;
}

std::vector<int> packed_strides(const std::vector<int>& extents) {
  std::vector<int> strides(extents.size(), 1);
  for (std::size_t axis = extents.size() - 1; axis-- > 0;) {
    strides[axis] = strides[axis + 1] * extents[axis + 1];
  }
  return strides;
}

}  // namespace croton
