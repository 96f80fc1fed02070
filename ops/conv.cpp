#include "croton/ops/conv.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

Attributes attributes_of(const ConvOptions& o) {
  Attributes attributes = {{"border_mode", o.border_mode.attribute(2)},
                           {"subsample", o.subsample},
                           {"dilation", o.filter_dilation},
                           {"num_groups", o.num_groups},
                           {"filter_flip", o.filter_flip}};
  if (!o.version.empty()) {
    if (o.version != "no_fft") {
      throw ValueError(fmt::format("conv2d: version '{}' is not known; there is 'no_fft'", o.version));
    }
    attributes = attributes.with("version", o.version);
  }
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

// x with what the hint says of its shape.
Variable with_hint(const Variable& x, const std::optional<Shape>& hint, const char* name) {
  if (!hint) return x;
  if (hint->rank() != x.rank()) {
    throw ValueError(fmt::format("conv2d: {} {} has {} entries, {} has rank {}", name, to_string(*hint),
                                 hint->rank(), describe(x), x.rank()));
  }
  if (!compatible(x.type(), {x.dtype(), *hint})) {
    throw ShapeError(
        fmt::format("conv2d: {} says {}, but the operand is {}", name, to_string(*hint), describe(x)));
  }
  bool tells = false;
  for (std::size_t i = 0; i < hint->size(); ++i) {
    tells = tells || ((*hint)[i] != unknown && x.type().shape[i] == unknown);
  }
  return tells ? specify_shape(x, *hint) : x;
}

// Two floating operands of one dtype; ranks are the op's to check.
std::pair<Variable, Variable> floating_pair(const Operand& a, const Operand& b) {
  const std::vector<Operand> operands = {a, b};
  DType dtype = promoted_dtype(operands);
  if (!is_floating(dtype)) dtype = float_x();
  return {as_dtype(a, dtype), as_dtype(b, dtype)};
}

// The inputs of a gradient: the two tensors and the last entries of the shape.
std::vector<Variable> with_extents(const Variable& a, const Variable& b, const std::vector<Operand>& shape,
                                   const char* name) {
  if (shape.size() != 4) throw ValueError(fmt::format("{} has {} entries; it needs 4", name, shape.size()));
  std::vector<Variable> inputs = {a, b};
  const SymbolicShape extents(std::vector<Operand>(shape.begin() + 2, shape.end()));
  inputs.insert(inputs.end(), extents.extents().begin(), extents.extents().end());
  return inputs;
}

// What the first two entries of a gradient's shape say, against what its operands give.
Variable with_leading_extents(const Variable& gradient, const std::vector<Operand>& shape, const char* name) {
  Shape hint = Shape::filled(4, unknown);
  for (std::size_t i = 0; i < 2; ++i) {
    const Variable& extent = shape[i].variable();
    if (extent.is_constant()) hint[i] = extent.constant_value().item<std::int64_t>();
  }
  return with_hint(gradient, hint, name);
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
  return apply_op(
      conv2d_op(),
      {with_hint(x, options.input_shape, "input_shape"), with_hint(w, options.filter_shape, "filter_shape")},
      attributes_of(options));
}

Variable conv2d_grad_wrt_inputs(const Operand& output_grad, const Operand& filters,
                                const std::vector<Operand>& input_shape, const ConvOptions& options) {
  const LocationScope scope(output_grad.where());
  const auto [gy, w] = floating_pair(output_grad, filters);
  const Variable gx = apply_op(
      conv2d_grad_inputs_op(),
      with_extents(with_hint(w, options.filter_shape, "filter_shape"), gy, input_shape, "input_shape"),
      attributes_of(options));
  return with_leading_extents(gx, input_shape, "input_shape");
}

Variable conv2d_grad_wrt_weights(const Operand& input, const Operand& output_grad,
                                 const std::vector<Operand>& filter_shape, const ConvOptions& options) {
  const LocationScope scope(input.where());
  const auto [x, gy] = floating_pair(input, output_grad);
  const Variable gw = apply_op(
      conv2d_grad_weights_op(),
      with_extents(with_hint(x, options.input_shape, "input_shape"), gy, filter_shape, "filter_shape"),
      attributes_of(options));
  return with_leading_extents(gw, filter_shape, "filter_shape");
}

}  // namespace croton
