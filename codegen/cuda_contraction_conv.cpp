// Convolutions and products of matrices as contractions. Rows are images and positions (of the result, or for
// the filters' gradient channels and taps of the image), columns are filters or channels, the depth is what
// is summed over.

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "croton/codegen/correlation.h"
#include "croton/codegen/cuda_contraction_geometry.h"

namespace croton {

namespace {

using Bound = ContractionOperand::Bound;

std::size_t axes_of(const ConvProblem& p) { return static_cast<std::size_t>(p.rank); }
std::int64_t count_of(const Shape& extents) { return extents.count(); }

/// What the operands of a problem have in common in every part: strides of C order.
struct Places {
  std::int64_t channels, filters;  // per group
  Shape image, kernel, out;        // strides of the spatial axes
  std::int64_t image_plane, kernel_plane, out_plane;
  std::int64_t sign, kernel_base;  // flip: taps are counted from the other end

  explicit Places(const ConvProblem& p)
      : channels(p.channels / p.groups),
        filters(p.filters / p.groups),
        image(contiguous_strides(p.image)),
        kernel(contiguous_strides(p.kernel)),
        out(contiguous_strides(p.out)),
        image_plane(count_of(p.image)),
        kernel_plane(count_of(p.kernel)),
        out_plane(count_of(p.out)),
        sign(p.flip ? -1 : 1),
        kernel_base(p.flip ? std::max<std::int64_t>(0, count_of(p.kernel) - 1) : 0) {}
};

/// Every combination of one phase an axis.
std::vector<std::vector<AxisPhase>> combinations(const ConvProblem& p) {
  std::vector<std::vector<AxisPhase>> all(1);
  for (std::size_t axis = 0; axis < axes_of(p); ++axis) {
    std::vector<std::vector<AxisPhase>> longer;
    for (const std::vector<AxisPhase>& begin : all) {
      for (const AxisPhase& phase : correlation_axis(p, axis).phases) {
        longer.push_back(begin);
        longer.back().push_back(phase);
      }
    }
    all = std::move(longer);
  }
  return all;
}

/// One more axis of the padded images: from the first to the last element that some tap reaches.
void pad_axis(ContractionPart& part, const AxisPhase& phase, std::int64_t source_stride,
              std::int64_t extent) {
  const std::int64_t reach = phase.offset_step * std::max<std::int64_t>(0, phase.taps - 1);
  const std::int64_t low = std::min<std::int64_t>(0, reach);
  const std::int64_t first = phase.offset + low;
  const std::int64_t padded = std::max<std::int64_t>(0, phase.count - 1) * phase.stride + std::abs(reach) + 1;
  AffineIndex& at = part.padded.place;
  for (std::int64_t& stride : at.rows) stride *= padded;
  for (std::int64_t& stride : at.depth) stride *= padded;
  at.base = at.base * padded - low;
  at.rows.push_back(phase.stride);
  at.depth.push_back(phase.offset_step);
  Bound bound;
  bound.extent = extent;
  bound.at.base = first;
  bound.at.rows.assign(part.padded_extents.size(), 0);
  bound.at.rows.push_back(1);
  part.source.bounds.push_back(std::move(bound));
  part.source.place.base += first * source_stride;
  part.source.place.rows.push_back(source_stride);
  part.padded_extents.push_back(padded);
}

/// Forward, or with respect to the inputs: a dense correlation of some of the positions.
ContractionPart correlation_part(const ConvProblem& p, const Places& at,
                                 const std::vector<AxisPhase>& phases) {
  const bool is_forward = p.direction == ConvDirection::forward;
  const std::int64_t sources = is_forward ? at.channels : at.filters;
  const std::int64_t results = is_forward ? at.filters : at.channels;
  const std::int64_t source_plane = is_forward ? at.image_plane : at.out_plane;
  const std::int64_t result_plane = is_forward ? at.out_plane : at.image_plane;
  const Shape& source = is_forward ? at.image : at.out;
  const Shape& result = is_forward ? at.out : at.image;
  ContractionPart part;
  part.rows = {p.batch};
  part.columns = {results};
  part.depth = {sources};
  part.gathered.place = {0, sources * source_plane, {p.groups * sources * source_plane}, {}, {source_plane}};
  part.packed.place = {at.kernel_base,
                       at.filters * at.channels * at.kernel_plane,
                       {},
                       {is_forward ? at.channels * at.kernel_plane : at.kernel_plane},
                       {is_forward ? at.kernel_plane : at.channels * at.kernel_plane}};
  part.result.place = {0, results * result_plane, {p.groups * results * result_plane}, {result_plane}, {}};
  part.padded_extents = {p.batch};
  part.source.place = {0, 0, {p.groups * sources * source_plane}, {}, {}};
  part.padded.place = {0, 0, {1}, {}, {0}};
  for (std::size_t axis = 0; axis < phases.size(); ++axis) {
    const AxisPhase& phase = phases[axis];
    part.rows.push_back(phase.count);
    part.depth.push_back(phase.taps);
    part.gathered.place.base += phase.offset * source[axis];
    part.gathered.place.rows.push_back(phase.stride * source[axis]);
    part.gathered.place.depth.push_back(phase.offset_step * source[axis]);
    part.packed.place.base += at.sign * phase.kernel * at.kernel[axis];
    part.packed.place.depth.push_back(at.sign * phase.kernel_step * at.kernel[axis]);
    part.result.place.base += phase.first * result[axis];
    part.result.place.rows.push_back(phase.step * result[axis]);
    Bound bound;
    bound.extent = is_forward ? p.image[axis] : p.out[axis];
    bound.at.base = phase.offset;
    bound.at.rows.assign(axis + 1, 0);
    bound.at.rows.push_back(phase.stride);
    bound.at.depth.assign(axis + 1, 0);
    bound.at.depth.push_back(phase.offset_step);
    part.gathered.bounds.push_back(std::move(bound));
    pad_axis(part, phase, source[axis], is_forward ? p.image[axis] : p.out[axis]);
  }
  return part;
}

std::int64_t quotient_down(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

/// The gradient with respect to the inputs of a convolution with stride and without dilation, all remainders
/// of a position at once: they are columns beside the channels. Position stride * q + r gets from output q +
/// j by tap r + pad - stride * j, where there is one.
ContractionPart joined_part(const ConvProblem& p, const Places& at) {
  ContractionPart part;
  part.rows = {p.batch};
  part.columns = {at.channels};
  part.depth = {at.filters};
  part.gathered.place = {
      0, at.filters * at.out_plane, {p.groups * at.filters * at.out_plane}, {}, {at.out_plane}};
  part.packed.place = {at.kernel_base,
                       at.filters * at.channels * at.kernel_plane,
                       {},
                       {at.kernel_plane},
                       {at.channels * at.kernel_plane}};
  part.result.place = {
      0, at.channels * at.image_plane, {p.groups * at.channels * at.image_plane}, {at.image_plane}, {}};
  for (std::size_t axis = 0; axis < axes_of(p); ++axis) {
    const std::int64_t stride = p.stride[axis], pad = p.pad_lo[axis];
    const std::int64_t first = -quotient_down(p.kernel[axis] - 1 - pad, stride);
    const std::int64_t last = quotient_down(stride - 1 + pad, stride);
    part.rows.push_back((p.image[axis] + stride - 1) / stride);
    part.columns.push_back(stride);
    part.depth.push_back(std::max<std::int64_t>(0, last - first + 1));
    part.gathered.place.base += first * at.out[axis];
    part.gathered.place.rows.push_back(at.out[axis]);
    part.gathered.place.depth.push_back(at.out[axis]);
    Bound output;
    output.extent = p.out[axis];
    output.at.base = first;
    output.at.rows.assign(axis + 1, 0);
    output.at.rows.push_back(1);
    output.at.depth.assign(axis + 1, 0);
    output.at.depth.push_back(1);
    part.gathered.bounds.push_back(std::move(output));
    Bound tap;
    tap.extent = p.kernel[axis];
    tap.at.base = pad - stride * first;
    tap.at.columns.assign(axis + 1, 0);
    tap.at.columns.push_back(1);
    tap.at.depth.assign(axis + 1, 0);
    tap.at.depth.push_back(-stride);
    part.packed.place.base += at.sign * tap.at.base * at.kernel[axis];
    part.packed.place.columns.push_back(at.sign * at.kernel[axis]);
    part.packed.place.depth.push_back(-stride * at.sign * at.kernel[axis]);
    part.packed.bounds.push_back(std::move(tap));
    part.result.place.rows.push_back(stride * at.image[axis]);
    part.result.place.columns.push_back(at.image[axis]);
    Bound position;
    position.extent = p.image[axis];
    position.at.rows.assign(axis + 1, 0);
    position.at.rows.push_back(stride);
    position.at.columns.assign(axis + 1, 0);
    position.at.columns.push_back(1);
    part.result.bounds.push_back(std::move(position));
  }
  return part;
}

ContractionPart weights_part(const ConvProblem& p, const Places& at) {
  ContractionPart part;
  part.rows = {at.channels};
  part.columns = {at.filters};
  part.depth = {p.batch};
  part.gathered.place = {
      0, at.channels * at.image_plane, {at.image_plane}, {}, {p.channels * at.image_plane}};
  part.packed.place = {0, at.filters * at.out_plane, {}, {at.out_plane}, {p.filters * at.out_plane}};
  part.result.place = {at.kernel_base,
                       at.filters * at.channels * at.kernel_plane,
                       {at.kernel_plane},
                       {at.channels * at.kernel_plane},
                       {}};
  for (std::size_t axis = 0; axis < axes_of(p); ++axis) {
    part.rows.push_back(p.kernel[axis]);
    part.depth.push_back(p.out[axis]);
    part.gathered.place.base -= p.pad_lo[axis] * at.image[axis];
    part.gathered.place.rows.push_back(p.dilation[axis] * at.image[axis]);
    part.gathered.place.depth.push_back(p.stride[axis] * at.image[axis]);
    part.packed.place.depth.push_back(at.out[axis]);
    part.result.place.rows.push_back(at.sign * at.kernel[axis]);
    Bound bound;
    bound.extent = p.image[axis];
    bound.at.base = -p.pad_lo[axis];
    bound.at.rows.assign(axis + 1, 0);
    bound.at.rows.push_back(p.dilation[axis]);
    bound.at.depth.assign(axis + 1, 0);
    bound.at.depth.push_back(p.stride[axis]);
    part.gathered.bounds.push_back(std::move(bound));
  }
  return part;
}

/// Multiplications with columns filled up to what tensor cores take at once.
double work_of(const ContractionPart& part) {
  constexpr std::int64_t unit = 8;
  const std::int64_t columns = (index_count(part.columns) + unit - 1) / unit * unit;
  return static_cast<double>(columns) * static_cast<double>(index_count(part.rows)) *
         static_cast<double>(index_count(part.depth));
}

/// The packed operand becomes the gathered one.
void exchange_sides(CudaContraction& c) {
  for (ContractionPart& part : c.parts) {
    std::swap(part.rows, part.columns);
    std::swap(part.gathered, part.packed);
    for (ContractionOperand* operand : {&part.gathered, &part.packed, &part.result}) {
      std::swap(operand->place.rows, operand->place.columns);
      for (Bound& bound : operand->bounds) std::swap(bound.at.rows, bound.at.columns);
    }
  }
  std::swap(c.gathered_count, c.packed_count);
  c.gathered_input = 1 - c.gathered_input;
}

}  // namespace

std::optional<CudaContraction> contraction_of(const ConvProblem& p, ContractionArithmetic arithmetic) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const std::int64_t image = p.image_shape().count(), filters = p.filter_shape().count(),
                     output = p.out_shape().count();
  if (std::max({image, filters, output}) > most) return std::nullopt;
  CudaContraction c;
  c.dtype = p.dtype;
  c.arithmetic = arithmetic;
  c.batch = p.groups;
  const Places at(p);
  if (p.direction == ConvDirection::backward_weights) {
    c.lanes = CudaContraction::Lanes::depth;
    c.parts = {weights_part(p, at)};
    c.gathered_count = image;
    c.packed_count = output;
    c.result_count = filters;
    // Packing writes the output's gradient once more; fewer patches of the image are less than that.
    if (index_count(c.parts[0].rows) <= index_count(c.parts[0].columns)) exchange_sides(c);
    return c;
  }
  const bool is_forward = p.direction == ConvDirection::forward;
  c.gathered_count = is_forward ? image : output;
  c.packed_count = filters;
  c.gathered_input = is_forward ? 0 : 1;
  c.result_count = is_forward ? output : image;
  for (const std::vector<AxisPhase>& phases : combinations(p))
    c.parts.push_back(correlation_part(p, at, phases));
  const bool is_dense = std::ranges::all_of(p.dilation, [](std::int64_t d) { return d == 1; });
  if (!is_forward && is_dense && c.parts.size() > 1) {
    double apart = 0;
    for (const ContractionPart& part : c.parts) apart += work_of(part);
    ContractionPart joined = joined_part(p, at);
    constexpr std::size_t most_parts = 64;
    if (work_of(joined) < apart || c.parts.size() > most_parts) c.parts = {std::move(joined)};
  }
  return c;
}

}  // namespace croton
