#include "croton/ops/conv_shapes.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/ops/conv.h"
#include "croton/ops/conv3d.h"

namespace croton {

namespace {

constexpr std::int64_t most_pad = std::int64_t{1} << 40;

std::string axis_name(std::size_t axis, int rank) {
  static constexpr std::array<const char*, 3> planes = {"rows", "columns", ""};
  return rank == 2 ? fmt::format("axis {} ({})", axis + 2, planes[axis]) : fmt::format("axis {}", axis + 2);
}

Shape positive_list(const Attributes& attributes, const char* name, int rank) {
  const Shape list = attributes.get<std::vector<std::int64_t>>(name);
  if (list.rank() != rank) {
    throw ValueError(fmt::format("{} has {} entries, the convolution {} axes", name, list.rank(), rank));
  }
  for (const std::int64_t n : list) {
    if (n < 1 || n > most_pad) throw ValueError(fmt::format("{} is {}; it must be at least 1", name, n));
  }
  return list;
}

void set_pads(ConvProblem& p, const Attributes& attributes) {
  const AttributeValue* mode = attributes.find("border_mode");
  const auto* pads = mode == nullptr ? nullptr : std::get_if<std::vector<std::int64_t>>(mode);
  if (pads != nullptr) {
    if (pads->size() != 2 * static_cast<std::size_t>(p.rank)) {
      throw ValueError(
          fmt::format("border_mode has {} entries; it needs two (in front, behind) for each of {} axes",
                      pads->size(), p.rank));
    }
    for (std::size_t i = 0; i < pads->size(); ++i) {
      const std::int64_t pad = (*pads)[i];
      if (pad < 0 || pad > most_pad) {
        throw ValueError(fmt::format("border_mode has a padding of {}; it must not be negative", pad));
      }
      (i % 2 == 0 ? p.pad_lo : p.pad_hi).push_back(pad);
    }
    return;
  }
  const auto& name = attributes.get<std::string>("border_mode");
  for (int axis = 0; axis < p.rank; ++axis) {
    std::int64_t pad = 0;
    if (name == "full" || name == "half") {
      if (p.kernel[static_cast<std::size_t>(axis)] == unknown) {
        pad = unknown;
      } else {
        const std::int64_t d = p.dilated_kernel(axis);
        pad = name == "half" ? d / 2 : std::max<std::int64_t>(d - 1, 0);
      }
    } else if (name != "valid") {
      throw ValueError(
          fmt::format("border_mode '{}' is not one of valid, full, half, a padding, or one (or a "
                      "pair: in front, behind) for each axis",
                      name));
    }
    p.pad_lo.push_back(pad);
    p.pad_hi.push_back(pad);
  }
}

// One number that two operands know: the known one, ShapeError when they differ.
std::int64_t agreed(std::int64_t a, std::int64_t b, const std::string& what, const char* where_a,
                    const char* where_b) {
  if (a != unknown && b != unknown && a != b) {
    throw ShapeError(fmt::format("the {} has {} {}, the {} {}", where_a, a, what, where_b, b));
  }
  return a == unknown ? b : a;
}

std::int64_t times(std::int64_t a, std::int64_t b) { return a == unknown ? unknown : a * b; }

void set_out(ConvProblem& p, const Shape* given) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(p.rank); ++i) {
    const std::string axis = axis_name(i, p.rank);
    if (p.kernel[i] == 0) throw ShapeError(fmt::format("the filters have extent 0 on {}", axis));
    std::int64_t out = unknown;
    if (p.image[i] != unknown && p.kernel[i] != unknown) {
      const std::int64_t d = p.dilated_kernel(static_cast<int>(i));
      const std::int64_t padded = p.image[i] + p.pad_lo[i] + p.pad_hi[i];
      if (padded < d) {
        throw ShapeError(
            fmt::format("on {} the filter covers {} (kernel {}, dilation {}), the image only {} "
                        "(extent {}, padding {} and {}); a larger padding or border_mode 'full' "
                        "makes them fit",
                        axis, d, p.kernel[i], p.dilation[i], padded, p.image[i], p.pad_lo[i], p.pad_hi[i]));
      }
      out = (padded - d) / p.stride[i] + 1;
    }
    if (given != nullptr) {
      const std::int64_t got = (*given)[i + 2];
      if (got != unknown && out != unknown && got != out) {
        throw ShapeError(
            fmt::format("on {} the output gradient has extent {}; an image of {} with a kernel of {} "
                        "gives {}",
                        axis, got, p.image[i], p.kernel[i], out));
      }
      if (out == unknown) out = got;
    }
    p.out.push_back(out);
  }
}

Shape spatial(const Shape& shape) {
  Shape result = shape;
  result.erase(0);
  result.erase(0);
  return result;
}

/// The last axes: unshared filters have the output's in front of the channels.
Shape kernel_of(const Shape& filters, int rank) {
  Shape result;
  for (std::size_t axis = filters.size() - static_cast<std::size_t>(rank); axis < filters.size(); ++axis)
    result.push_back(filters[axis]);
  return result;
}

/// The output's extents as unshared filters say them, against what follows from the image.
void set_out_of_filters(ConvProblem& p, const Shape& filters) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(p.rank); ++i) {
    const std::int64_t said = filters[i + 1];
    if (said != unknown && p.out[i] != unknown && said != p.out[i]) {
      throw ShapeError(fmt::format("on {} there are unshared filters for {} positions, the output has {}",
                                   axis_name(i, p.rank), said, p.out[i]));
    }
    if (p.out[i] == unknown) p.out[i] = said;
  }
}

}  // namespace

std::optional<ConvDirection> conv_direction(const Op& op) {
  if (&op == &conv2d_op() || &op == &conv3d_op()) return ConvDirection::forward;
  if (&op == &conv2d_grad_inputs_op() || &op == &conv3d_grad_inputs_op())
    return ConvDirection::backward_inputs;
  if (&op == &conv2d_grad_weights_op() || &op == &conv3d_grad_weights_op())
    return ConvDirection::backward_weights;
  return std::nullopt;
}

ConvProblem resolve_conv(ConvDirection direction, const Attributes& attributes, const Shape& first,
                         const Shape& second, const Shape& extents, DType dtype) {
  ConvProblem p;
  p.direction = direction;
  p.rank = (direction == ConvDirection::backward_inputs ? second : first).rank() - 2;
  p.unshared = attributes.get_or<bool>("unshared", false);
  p.dtype = dtype;
  p.flip = attributes.get<bool>("filter_flip");
  p.groups = attributes.get<std::int64_t>("num_groups");
  p.version = attributes.get_or<std::string>("version", "");
  p.stride = positive_list(attributes, "subsample", p.rank);
  p.dilation = positive_list(attributes, "dilation", p.rank);
  if (p.groups < 1) throw ValueError(fmt::format("num_groups is {}; it must be at least 1", p.groups));

  const Shape* image = direction == ConvDirection::backward_inputs ? nullptr : &first;
  const Shape* filters = direction == ConvDirection::forward           ? &second
                         : direction == ConvDirection::backward_inputs ? &first
                                                                       : nullptr;
  const Shape* gradient = direction == ConvDirection::forward ? nullptr : &second;
  p.image = image != nullptr ? spatial(*image) : extents;
  p.kernel = filters != nullptr ? kernel_of(*filters, p.rank) : extents;

  const char* grad_name = "output gradient";
  p.batch = image != nullptr ? (*image)[0] : unknown;
  if (gradient != nullptr) p.batch = agreed(p.batch, (*gradient)[0], "images (axis 0)", "input", grad_name);
  p.filters = filters != nullptr ? (*filters)[0] : unknown;
  if (gradient != nullptr) {
    p.filters = filters != nullptr
                    ? agreed(p.filters, (*gradient)[1], "output channels", "filters", grad_name)
                    : (*gradient)[1];
  }
  p.channels = image != nullptr ? (*image)[1] : unknown;
  if (p.channels != unknown && p.channels % p.groups != 0) {
    throw ShapeError(fmt::format("the input has {} channels (axis 1); they do not divide into {} groups",
                                 p.channels, p.groups));
  }
  if (p.filters != unknown && p.filters % p.groups != 0) {
    throw ShapeError(
        fmt::format("there are {} filters; they do not divide into {} groups", p.filters, p.groups));
  }
  if (filters != nullptr) {
    const auto axis = static_cast<std::size_t>(p.channel_axis_of_filters());
    const std::int64_t taken = times((*filters)[axis], p.groups);
    if (taken != unknown && p.channels != unknown && taken != p.channels) {
      throw ShapeError(
          fmt::format("the input has {} channels (axis 1), the filters take {} (axis {}: {}, in {} group{})",
                      p.channels, taken, axis, (*filters)[axis], p.groups, p.groups == 1 ? "" : "s"));
    }
    if (p.channels == unknown) p.channels = taken;
  }
  set_pads(p, attributes);
  set_out(p, gradient);
  if (p.unshared && filters != nullptr) set_out_of_filters(p, *filters);
  return p;
}

}  // namespace croton
