#include "croton/ops/conv.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/ops/conv_arguments.h"

namespace croton {

namespace {

Attributes attributes_of(const ConvOptions& o) {
  Attributes attributes = {{"border_mode", o.border_mode.attribute(2)},
                           {"subsample", o.subsample},
                           {"dilation", o.filter_dilation},
                           {"num_groups", o.num_groups},
                           {"filter_flip", o.filter_flip}};
  attributes = with_conv_version(attributes, o.version, "conv2d");
  if (o.unshared) attributes = attributes.with("unshared", true);
  for (const auto& [name, value] :
       {std::pair{"unroll_batch", o.unroll_batch}, std::pair{"unroll_kern", o.unroll_kern}}) {
    if (!value) continue;
    if (*value < 1) throw ValueError(fmt::format("conv2d: {} is {}; it must be at least 1", name, *value));
    attributes = attributes.with(name, *value);
  }
  if (o.unroll_patch) attributes = attributes.with("unroll_patch", *o.unroll_patch);
  if (o.openmp) attributes = attributes.with("openmp", *o.openmp);
  return attributes;
}

}  // namespace

AttributeValue BorderMode::attribute(int rank) const {
  if (pads_.empty()) {
    if (name_ != "valid" && name_ != "full" && name_ != "half") {
      throw ValueError(
          fmt::format("border_mode '{}' is not one of valid, full, half, a padding, or one (or a "
                      "pair: in front, behind) for each axis",
                      name_));
    }
    return name_;
  }
  std::vector<ConvPad> pads = pads_;
  if (pads.size() == 1) pads.resize(static_cast<std::size_t>(rank), pads.front());
  if (pads.size() != static_cast<std::size_t>(rank)) {
    throw ValueError(fmt::format("border_mode has {} paddings for {} axes", pads.size(), rank));
  }
  std::vector<std::int64_t> flat;
  for (const ConvPad& pad : pads) {
    if (pad.lo < 0 || pad.hi < 0) {
      throw ValueError(
          fmt::format("border_mode has a padding of {}; it must not be negative", std::min(pad.lo, pad.hi)));
    }
    flat.push_back(pad.lo);
    flat.push_back(pad.hi);
  }
  if (std::all_of(flat.begin(), flat.end(), [](std::int64_t pad) { return pad == 0; })) return "valid";
  return flat;
}

Variable conv2d(const Operand& input, const Operand& filters, const ConvOptions& options) {
  const LocationScope scope(input.where());
  const auto [x, w] = floating_pair(input, filters);
  return apply_op(conv2d_op(),
                  {with_shape_hint(x, options.input_shape, "conv2d", "input_shape"),
                   with_shape_hint(w, options.filter_shape, "conv2d", "filter_shape")},
                  attributes_of(options));
}

Variable conv2d_grad_wrt_inputs(const Operand& output_grad, const Operand& filters,
                                const std::vector<Operand>& input_shape, const ConvOptions& options) {
  const LocationScope scope(output_grad.where());
  const auto [gy, w] = floating_pair(output_grad, filters);
  const Variable gx =
      apply_op(conv2d_grad_inputs_op(),
               with_extents(with_shape_hint(w, options.filter_shape, "conv2d", "filter_shape"), gy,
                            input_shape, 4, "input_shape"),
               attributes_of(options));
  return with_leading_extents(gx, input_shape, "conv2d", "input_shape");
}

Variable conv2d_grad_wrt_weights(const Operand& input, const Operand& output_grad,
                                 const std::vector<Operand>& filter_shape, const ConvOptions& options) {
  const LocationScope scope(input.where());
  const auto [x, gy] = floating_pair(input, output_grad);
  const Variable image = with_shape_hint(x, options.input_shape, "conv2d", "input_shape");
  const Variable gw =
      apply_op(conv2d_grad_weights_op(),
               with_extents(image, gy, filter_shape, options.unshared ? 6 : 4, "filter_shape"),
               attributes_of(options));
  return with_leading_extents(gw, filter_shape, "conv2d", "filter_shape");
}

}  // namespace croton
