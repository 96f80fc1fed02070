#include "croton/ops/conv_problem.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/ops/conv.h"
#include "croton/ops/conv_shapes.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

std::string joined(const Shape& numbers, const char* separator) {
  std::string text;
  for (const std::int64_t n : numbers) {
    if (!text.empty()) text += separator;
    text += n == unknown ? std::string("?") : fmt::format("{}", n);
  }
  return text;
}

Shape with_leading(std::int64_t a, std::int64_t b, const Shape& spatial) {
  Shape shape{a, b};
  for (const std::int64_t extent : spatial) shape.push_back(extent);
  return shape;
}

}  // namespace

std::string to_string(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::forward:
      return "forward";
    case ConvDirection::backward_inputs:
      return "backward_inputs";
    case ConvDirection::backward_weights:
      break;
  }
  return "backward_weights";
}

std::int64_t ConvProblem::dilated_kernel(int axis) const {
  const auto i = static_cast<std::size_t>(axis);
  return kernel[i] == 0 ? 0 : (kernel[i] - 1) * dilation[i] + 1;
}

Shape ConvProblem::image_shape() const { return with_leading(batch, channels, image); }
Shape ConvProblem::filter_shape() const {
  const Shape shape = with_leading(filters, channels / groups, kernel);
  if (!unshared) return shape;
  Shape with_positions{filters};
  for (const std::int64_t extent : out) with_positions.push_back(extent);
  for (std::size_t axis = 1; axis < shape.size(); ++axis) with_positions.push_back(shape[axis]);
  return with_positions;
}
Shape ConvProblem::out_shape() const { return with_leading(batch, filters, out); }

bool ConvProblem::has_strides() const {
  return !std::ranges::all_of(stride, [](std::int64_t n) { return n == 1; });
}

double ConvProblem::flops() const {
  double product = 2.0 * static_cast<double>(batch) * static_cast<double>(filters) *
                   static_cast<double>(channels / groups);
  for (const std::int64_t extent : out) product *= static_cast<double>(extent);
  for (const std::int64_t extent : kernel) product *= static_cast<double>(extent);
  return product;
}

std::string to_string(const ConvProblem& p) {
  std::string text = fmt::format(
      "conv{}d {} {} image {} filters {} out {} pad {}..{} stride {} dilation {} groups {}{}", p.rank,
      to_string(p.direction), name_of(p.dtype), joined(p.image_shape(), "x"), joined(p.filter_shape(), "x"),
      joined(p.out_shape(), "x"), joined(p.pad_lo, ","), joined(p.pad_hi, ","), joined(p.stride, ","),
      joined(p.dilation, ","), p.groups, p.flip ? " flip" : "");
  if (p.unshared) text += " unshared";
  if (!p.version.empty()) text += " version " + p.version;
  if (p.layouts != ConvOperandLayouts()) {
    text += fmt::format(" in {},{} to {}", name_of(p.layouts.first), name_of(p.layouts.second),
                        name_of(p.layouts.result));
  }
  if (!p.device.is_host()) text += " on " + to_string(p.device);
  return text;
}

ConvProblem conv_problem(const Node& node) {
  const std::optional<ConvDirection> direction = conv_direction(node.op());
  if (!direction) throw InternalError("conv_problem of a " + node.op().name() + " node");
  Shape extents;
  // The last axes of the result's type know the extents as well.
  const Shape& result = node.type().shape;
  for (std::size_t i = 2; i < node.input_count(); ++i) {
    extents.push_back(result[result.size() - node.input_count() + i]);
  }
  ConvProblem problem = conv_problem(*direction, node.attributes(), node.input(0).type().shape,
                                     node.input(1).type().shape, extents, node.type().dtype);
  problem.device = node.type().device;
  return problem;
}

ConvProblem conv_problem(ConvDirection direction, const Attributes& attributes, const Shape& first,
                         const Shape& second, const Shape& extents, DType dtype) {
  ConvProblem problem = resolve_conv(direction, attributes, first, second, extents, dtype);
  if (!first.is_known() || !second.is_known() || !extents.is_known()) {
    throw InternalError("a convolution of shapes that are not known: " + to_string(problem));
  }
  return problem;
}

Attributes conv_attributes(const ConvProblem& p) {
  const auto list = [](const Shape& shape) { return std::vector<std::int64_t>(shape.begin(), shape.end()); };
  std::vector<std::int64_t> pads;
  for (std::size_t axis = 0; axis < p.pad_lo.size(); ++axis) {
    pads.push_back(p.pad_lo[axis]);
    pads.push_back(p.pad_hi[axis]);
  }
  Attributes attributes = {{"border_mode", pads},
                           {"subsample", list(p.stride)},
                           {"dilation", list(p.dilation)},
                           {"num_groups", p.groups},
                           {"filter_flip", p.flip}};
  if (p.unshared) attributes = attributes.with("unshared", true);
  return p.version.empty() ? attributes : attributes.with("version", p.version);
}

}  // namespace croton
