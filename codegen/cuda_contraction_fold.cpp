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

}  // namespace croton
