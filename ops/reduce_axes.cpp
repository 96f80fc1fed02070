#include "croton/ops/reduce_axes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "croton/graph/error.h"
#include "croton/ops/reduce.h"

namespace croton {

std::vector<std::int64_t> reduced_axes(std::string_view op, std::span<const Variable> inputs,
                                       const Attributes& attributes) {
  if (inputs.size() != 1) throw TypeError(fmt::format("{} takes 1 operand, got {}", op, inputs.size()));
  const AttributeValue* value = attributes.find("axes");
  const auto* axes = value == nullptr ? nullptr : std::get_if<std::vector<std::int64_t>>(value);
  if (axes == nullptr) throw TypeError(fmt::format("{} needs the attribute axes, for example axes=[0]", op));
  for (std::size_t i = 0; i < axes->size(); ++i) {
    if ((*axes)[i] < 0 || (*axes)[i] >= inputs[0].rank()) {
      throw IndexError(fmt::format("{} over axis {} of {} axes", op, (*axes)[i], inputs[0].rank()));
    }
    if (i > 0 && (*axes)[i] <= (*axes)[i - 1]) {
      throw ValueError(
          fmt::format("{} needs its axes in rising order, got [{}]", op, fmt::join(*axes, ", ")));
    }
  }
  return *axes;
}

Shape without_axes(const Shape& shape, std::span<const std::int64_t> axes) {
  Shape left;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) == axes.end())
      left.push_back(shape[i]);
  }
  return left;
}

void require_elements(std::string_view op, const Shape& shape, std::span<const std::int64_t> axes) {
  for (const std::int64_t axis : axes) {
    if (shape[static_cast<std::size_t>(axis)] != 0) continue;
    const Shape left = without_axes(shape, axes);
    if (!left.is_known() || left.count() == 0) continue;
    throw ShapeError(
        fmt::format("{} of nothing: axis {} of the shape {} is empty, and {} has no value for that", op, axis,
                    to_string(shape), op));
  }
}

Tensor with_axes_last(const Tensor& x, std::span<const std::int64_t> axes) {
  Shape order;
  for (std::int64_t i = 0; i < x.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) order.push_back(i);
  }
  for (const std::int64_t axis : axes) order.push_back(axis);
  return x.rank() == 0 ? x : x.transpose(order);
}

std::string reduction_label(const Node& node) {
  std::string name = node.op().name();
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  const auto& axes = node.attributes().get<std::vector<std::int64_t>>("axes");
  if (axes.size() == static_cast<std::size_t>(node.input(0).rank())) return name;
  return fmt::format("{}{{axis=[{}]}}", name, fmt::join(axes, ", "));
}

std::vector<std::int64_t> normalize_axes(const Axes& axes, int rank) {
  std::vector<std::int64_t> result;
  if (axes.all()) {
    for (int i = 0; i < rank; ++i) result.push_back(i);
    return result;
  }
  for (const int axis : axes.list()) {
    if (axis < -rank || axis >= rank) {
      throw IndexError(
          fmt::format("axis {} is outside a tensor of {} ax{}s", axis, rank, rank == 1 ? "i" : "e"));
    }
    result.push_back(axis < 0 ? axis + rank : axis);
  }
  std::sort(result.begin(), result.end());
  const auto twice = std::adjacent_find(result.begin(), result.end());
  if (twice != result.end()) throw ValueError(fmt::format("axis {} is named twice", *twice));
  return result;
}

}  // namespace croton
