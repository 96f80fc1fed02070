#include "croton/runtime/dnn_conv_primitive.h"

namespace croton {

namespace {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;

/// What oneDNN calls strides, dilation and padding.
struct ConvPads {
  Dims strides, dilation, lo, hi;
  explicit ConvPads(const ConvProblem& p) {
    for (std::size_t axis = 0; axis < 2; ++axis) {
      strides.push_back(p.stride[axis]);
      dilation.push_back(p.dilation[axis] - 1);
      lo.push_back(p.pad_lo[axis]);
      // What no output reaches at the end does not count.
      hi.push_back((p.out[axis] - 1) * p.stride[axis] + p.dilated_kernel(static_cast<int>(axis)) -
                   p.image[axis] - p.pad_lo[axis]);
    }
  }
};

constexpr auto direct = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
dnnl::convolution_forward::primitive_desc forward_desc(const Desc& x, const Desc& w, const Desc& y,
                                                       const ConvPads& p) {
  return {
      cpu_engine(),     dnnl::prop_kind::forward_training, direct, x, w, y, p.strides, p.dilation, p.lo, p.hi,
      user_scratchpad()};
}
dnnl::convolution_backward_data::primitive_desc data_desc(
    const Desc& x, const Desc& w, const Desc& y, const ConvPads& p,
    const dnnl::convolution_forward::primitive_desc& forward) {
  return {cpu_engine(), direct, x, w, y, p.strides, p.dilation, p.lo, p.hi, forward, user_scratchpad()};
}
dnnl::convolution_backward_weights::primitive_desc weights_desc(
    const Desc& x, const Desc& w, const Desc& y, const ConvPads& p,
    const dnnl::convolution_forward::primitive_desc& forward) {
  return {cpu_engine(), direct, x, w, y, p.strides, p.dilation, p.lo, p.hi, forward, user_scratchpad()};
}
#else
dnnl::convolution_forward::primitive_desc forward_desc(const Desc& x, const Desc& w, const Desc& y,
                                                       const ConvPads& p) {
  return {{dnnl::prop_kind::forward_training, direct, x, w, y, p.strides, p.dilation, p.lo, p.hi},
          user_scratchpad(),
          cpu_engine()};
}
dnnl::convolution_backward_data::primitive_desc data_desc(
    const Desc& x, const Desc& w, const Desc& y, const ConvPads& p,
    const dnnl::convolution_forward::primitive_desc& forward) {
  return {{direct, x, w, y, p.strides, p.dilation, p.lo, p.hi}, user_scratchpad(), cpu_engine(), forward};
}
dnnl::convolution_backward_weights::primitive_desc weights_desc(
    const Desc& x, const Desc& w, const Desc& y, const ConvPads& p,
    const dnnl::convolution_forward::primitive_desc& forward) {
  return {{direct, x, w, y, p.strides, p.dilation, p.lo, p.hi}, user_scratchpad(), cpu_engine(), forward};
}
#endif

}  // namespace

const dnnl::engine& cpu_engine() {
  static const auto* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

DnnConvPrimitive make_conv_primitive(const ConvProblem& problem, const dnnl::memory::dims& image,
                                     const dnnl::memory::dims& filters, const dnnl::memory::dims& output) {
  const auto any = [](const Dims& dims) {
    return Desc(dims, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any);
  };
  const Desc x = any(image), w = any(filters), y = any(output);
  const ConvPads pads(problem);
  const auto forward = forward_desc(x, w, y, pads);
  switch (problem.direction) {
    case ConvDirection::forward:
      return {dnnl::convolution_forward(forward),
              forward.src_desc(),
              forward.weights_desc(),
              forward.dst_desc(),
              forward.scratchpad_desc(),
              forward.impl_info_str()};
    case ConvDirection::backward_inputs: {
      const auto backward = data_desc(x, w, y, pads, forward);
      return {dnnl::convolution_backward_data(backward),
              backward.diff_src_desc(),
              backward.weights_desc(),
              backward.diff_dst_desc(),
              backward.scratchpad_desc(),
              backward.impl_info_str()};
    }
    case ConvDirection::backward_weights:
      break;
  }
  const auto backward = weights_desc(x, w, y, pads, forward);
  return {dnnl::convolution_backward_weights(backward),
          backward.src_desc(),
          backward.diff_weights_desc(),
          backward.diff_dst_desc(),
          backward.scratchpad_desc(),
          backward.impl_info_str()};
}

}  // namespace croton
