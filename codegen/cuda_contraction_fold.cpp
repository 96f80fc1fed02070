// Products for every output and tap, which are added up where they belong: the gradient with respect to the
// inputs of a convolution with few channels. Every element of the outputs' gradient is a factor once, not
// once a tap.

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

namespace {

/// Input i gets from outputs q by taps k with stride * q = i + pad - dilation * k: taps first, first + step,
/// …, outputs fewer by `outputs_step` from tap to tap; none where i + pad is not a multiple of `divisor`.
struct FoldSteps {
  std::int64_t divisor = 1, step = 1, outputs_step = 1;
  /// Of dilation / divisor modulo step: first = (i + pad) / divisor * inverse % step.
  std::int64_t inverse = 0;

  explicit FoldSteps(const ContractionFold::Axis& a) {
    divisor = std::gcd(a.stride, a.dilation);
    step = a.stride / divisor;
    outputs_step = a.dilation / divisor;
    while (inverse < step && inverse * outputs_step % step != 1 % step) ++inverse;
  }
};

/// Places of tap and output number 1 of each axis, and of tap 0, among products whose taps are `of_tap`
/// apart.
struct FoldStrides {
  std::vector<std::int64_t> taps, outputs;
  std::int64_t base = 0;

  FoldStrides(const ContractionFold& fold, std::int64_t of_tap)
      : taps(fold.axes.size()), outputs(fold.axes.size()) {
    std::int64_t stride = 1;
    for (std::size_t axis = fold.axes.size(); axis-- > 0; stride *= fold.axes[axis].outputs)
      outputs[axis] = stride;
    for (std::size_t axis = fold.axes.size(); axis-- > 0; of_tap *= fold.axes[axis].taps) {
      taps[axis] = fold.flip ? -of_tap : of_tap;
      if (fold.flip) base += (fold.axes[axis].taps - 1) * of_tap;
    }
  }
};

}  // namespace

std::int64_t ContractionFold::product_of(std::int64_t Axis::* extent) const {
  std::int64_t product = 1;
  for (const Axis& a : axes) product *= a.*extent;
  return product;
}

std::int64_t ContractionFold::count() const {
  return channels * product_of(&Axis::taps) * images * product_of(&Axis::outputs);
}

std::optional<CudaContraction> folded_contraction_of(const ConvProblem& p, ContractionArithmetic arithmetic) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (p.direction != ConvDirection::backward_inputs) return std::nullopt;
  CudaContraction c;
  c.dtype = p.dtype;
  c.arithmetic = arithmetic;
  c.batch = p.groups;
  c.gathered_count = p.out_shape().count();
  c.packed_count = p.filter_shape().count();
  c.result_count = p.image_shape().count();
  c.gathered_input = 1;
  c.fold.flip = p.flip;
  c.fold.images = p.batch;
  c.fold.channels = p.channels;
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(p.rank); ++axis) {
    c.fold.axes.push_back(
        {p.image[axis], p.out[axis], p.kernel[axis], p.stride[axis], p.dilation[axis], p.pad_lo[axis]});
  }
  if (std::max({c.gathered_count, c.packed_count, c.result_count, c.fold.count()}) > most)
    return std::nullopt;

  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  const std::int64_t taps = p.kernel.count(), outputs = p.out.count(), of_tap = p.batch * outputs;
  ContractionPart part;
  part.rows = {p.batch, outputs};
  part.columns = {channels, taps};
  part.depth = {filters};
  part.gathered.place = {0, filters * outputs, {p.filters * outputs, 1}, {}, {outputs}};
  part.packed.place = {0, filters * channels * taps, {}, {taps, 1}, {channels * taps}};
  part.result.place = {0, channels * taps * of_tap, {outputs, 1}, {taps * of_tap, of_tap}, {}};
  c.parts = {std::move(part)};
  return c;
}

std::int64_t fold_threads(const CudaContraction& c) {
  const ContractionFold::Axis& last = c.fold.axes.back();
  if (last.inputs == 0) return 0;
  return c.result_count / last.inputs * ((last.inputs + last.stride - 1) / last.stride);
}

std::string fold_declarations(const CudaContraction& c) {
  const ContractionFold& fold = c.fold;
  const std::int64_t outputs = fold.product_of(&ContractionFold::Axis::outputs);
  const std::int64_t of_tap = fold.is_in_blocks() ? fold_block_pitch(c) : fold.images * outputs;
  const FoldStrides products(fold, of_tap);
  std::string text = fmt::format(
      "  static constexpr int fold_axes = {};\n"
      "  static constexpr i32 fold_image = {}, fold_channel = {}, fold_channels = {}, fold_base = {};\n"
      "  static DEVICE constexpr FoldAxis fold_axis(int axis) {{\n",
      fold.axes.size(), outputs, fold.product_of(&ContractionFold::Axis::taps) * of_tap, fold.channels,
      products.base);
  for (std::size_t axis = 0; axis < fold.axes.size(); ++axis) {
    const ContractionFold::Axis& a = fold.axes[axis];
    const FoldSteps s(a);
    text += fmt::format("    if (axis == {}) return {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}};\n",
                        axis, a.inputs, a.outputs, a.taps, a.stride, a.dilation, a.pad, s.divisor, s.step,
                        s.outputs_step, s.inverse, products.taps[axis], products.outputs[axis]);
  }
  return text + "    return {};\n  }\n";
}

std::vector<double> folded(const ContractionFold& fold, const std::vector<double>& matrix) {
  using Axis = ContractionFold::Axis;
  const std::int64_t inputs = fold.product_of(&Axis::inputs), outputs = fold.product_of(&Axis::outputs);
  const std::int64_t taps = fold.product_of(&Axis::taps);
  std::vector<double> result(static_cast<std::size_t>(fold.images * fold.channels * inputs));
  for (std::int64_t i = 0; i < fold.count(); ++i) {
    std::int64_t output = i % outputs, image = i / outputs % fold.images;
    std::int64_t tap = i / outputs / fold.images % taps, channel = i / outputs / fold.images / taps;
    std::int64_t to = 0, stride = 1;
    bool exists = true;
    for (std::size_t axis = fold.axes.size(); axis-- > 0;) {
      const Axis& a = fold.axes[axis];
      const std::int64_t k = fold.flip ? a.taps - 1 - tap % a.taps : tap % a.taps;
      const std::int64_t at = output % a.outputs * a.stride + k * a.dilation - a.pad;
      exists = exists && at >= 0 && at < a.inputs;
      to += at * stride;
      stride *= a.inputs;
      output /= a.outputs;
      tap /= a.taps;
    }
    to += (image * fold.channels + channel) * inputs;
    if (exists) result[static_cast<std::size_t>(to)] += matrix[static_cast<std::size_t>(i)];
  }
  return result;
}

std::string_view contraction_folding() {
  return R"cuda(
struct FoldAxis {
  i32 inputs, outputs, taps, stride, dilation, pad;
  // Input i gets from taps first, first + step, ..., where i + pad is a multiple of divisor; first = (i + pad) / divisor *
  // inverse % step. The output is outputs_step less from tap to tap.
  i32 divisor, step, outputs_step, inverse;
  i32 tap_stride, output_stride;
};

// Outputs of which there are products.
template <int axes> struct FoldRange { i32 first[axes], count[axes]; };

// f(products of a tap, at the output that belongs to it) for this axis' taps of input stride * quotient + rest.
template <class C, int axis, class F>
DEVICE void for_taps(const typename C::Value* from, const FoldRange<C::fold_axes>& range, i32 quotient, i32 rest, const F& f) {
  constexpr FoldAxis a = C::fold_axis(axis);
  constexpr int most = (a.taps + a.step - 1) / a.step;
  const i32 at = rest + a.pad;
  if (at % a.divisor != 0) return;
  const i32 first = at / a.divisor * a.inverse % a.step, output = quotient + (at - first * a.dilation) / a.stride;
#pragma unroll (most > 0 && (axis + 1 == C::fold_axes || most <= 4) ? most : 1)
  for (int i = 0; i < most; ++i) {
    const i32 tap = first + i * a.step, q = output - i * a.outputs_step;
    if (tap < a.taps && (u32)(q - range.first[axis]) < (u32)range.count[axis]) f(from + (tap * a.tap_stride + q * a.output_stride));
  }
}

// The sum over this axis' taps, and those of the axes behind it.
template <class C, int axis>
DEVICE typename C::Value folded_sum(const typename C::Value* from, const FoldRange<C::fold_axes>& range, const i32 (&quotient)[C::fold_axes],
                                    const i32 (&rest)[C::fold_axes]) {
  typename C::Value sum = 0;
  for_taps<C, axis>(from, range, quotient[axis], rest[axis], [&](const typename C::Value* part) {
    if constexpr (axis + 1 == C::fold_axes)
      sum += *part;
    else
      sum += folded_sum<C, axis + 1>(part, range, quotient, rest);
  });
  return sum;
}

// As many elements of the inputs' gradient a thread as the last axis' stride has: these are of different taps, but lanes side
// by side read outputs side by side.
template <class C> DEVICE void fold_taps(const typename C::Value* matrix, typename C::Element* result) {
  constexpr FoldAxis last = C::fold_axis(C::fold_axes - 1);
  constexpr u32 lines = (u32)(last.inputs == 0 ? 0 : C::result_count / last.inputs), of_line = (u32)((last.inputs + last.stride - 1) / last.stride);
  const u32 index = blockIdx.x * 256u + threadIdx.x;
  if (index >= lines * of_line) return;
  const u32 thread = lines * of_line - 1 - index;  // what was written last is still in the cache
  i32 quotient[C::fold_axes], rest[C::fold_axes];
  FoldRange<C::fold_axes> range;
#pragma unroll
  for (int axis = 0; axis < C::fold_axes; ++axis) {
    range.first[axis] = 0;
    range.count[axis] = C::fold_axis(axis).outputs;
  }
  const i32 line = (i32)(thread / of_line);
  u32 left = (u32)line;
#pragma unroll
  for (int axis = C::fold_axes - 2; axis >= 0; --axis) {
    const FoldAxis a = C::fold_axis(axis);
    const i32 input = (i32)(left % (u32)a.inputs);
    left /= (u32)a.inputs;
    quotient[axis] = (i32)((u32)input / (u32)a.stride);
    rest[axis] = input - quotient[axis] * a.stride;
  }
  const i32 channel = (i32)(left % (u32)C::fold_channels), image = (i32)(left / (u32)C::fold_channels);
  const typename C::Value* const from = matrix + (channel * C::fold_channel + image * C::fold_image + C::fold_base);
  const i32 input = (i32)(thread % of_line) * last.stride;
  quotient[C::fold_axes - 1] = (i32)(thread % of_line);
#pragma unroll (last.stride <= 8 ? last.stride : 1)
  for (i32 i = 0; i < last.stride; ++i) {
    rest[C::fold_axes - 1] = i;
    if (last.inputs % last.stride == 0 || input + i < last.inputs)
      result[line * last.inputs + input + i] = C::element_of(folded_sum<C, 0>(from, range, quotient, rest));
  }
}
)cuda";
}

}  // namespace croton
