#include <fmt/format.h>

#include <algorithm>

#include "croton/ops/conv.h"
#include "croton/ops/conv_implementations.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/transfer.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

/// One slice of the filters along the first axis, and the parts of image and output that it connects: `count`
/// slices of the image from `image` on, `stride` apart, and of the output from `out` on.
struct SliceTap {
  std::int64_t filter = 0, image = 0, out = 0, count = 0;
};

std::vector<SliceTap> slice_taps(const ConvProblem& p) {
  std::vector<SliceTap> taps;
  for (std::int64_t k = 0; k < p.kernel[0]; ++k) {
    const std::int64_t shift = k * p.dilation[0] - p.pad_lo[0], stride = p.stride[0];
    SliceTap tap;
    tap.filter = p.flip ? p.kernel[0] - 1 - k : k;
    tap.out = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    const std::int64_t room = p.image[0] - 1 - shift;
    const std::int64_t end = room < 0 ? 0 : std::min(p.out[0], room / stride + 1);
    tap.count = std::max<std::int64_t>(0, end - tap.out);
    tap.image = tap.out * stride + shift;
    taps.push_back(tap);
  }
  return taps;
}

/// The convolution of one slice with another, for `count` slices of every image at once.
ConvProblem plane_problem(const ConvProblem& p, std::int64_t count) {
  ConvProblem plane = p;
  plane.rank = 2;
  plane.batch = p.batch * count;
  for (Shape* list : {&plane.image, &plane.kernel, &plane.out, &plane.pad_lo, &plane.pad_hi, &plane.stride,
                      &plane.dilation}) {
    list->erase(0);
  }
  return plane;
}

Variable integer(std::int64_t value) { return constant(Tensor(value)); }

class SlicedConv {
 public:
  SlicedConv(const ConvProblem& problem, const Variable& first, const Variable& second)
      : p_(problem),
        first_(first),
        second_(second),
        attributes_(conv_attributes(plane_problem(problem, 1))),
        taps_(slice_taps(problem)) {}

  Variable build() const {
    switch (p_.direction) {
      case ConvDirection::forward:
        return forward();
      case ConvDirection::backward_inputs:
        return backward_inputs();
      default:
        return backward_weights();
    }
  }

 private:
  /// Slices along the first spatial axis, as images of their own: [batch * count, channels, rows, columns].
  Variable merged(const Variable& x, std::int64_t begin, std::int64_t count, std::int64_t stride) const {
    const Shape& shape = x.type().shape;
    const std::int64_t end = count == 0 ? begin : begin + (count - 1) * stride + 1;
    const Variable part = x(all, all, slice(begin, end, stride));
    return part.dimshuffle({0, 2, 1, 3, 4}).reshape({shape[0] * count, shape[1], shape[3], shape[4]});
  }
  Variable separated(const Variable& y, std::int64_t count) const {
    const Shape& shape = y.type().shape;
    return y.reshape({p_.batch, count, shape[1], shape[2], shape[3]}).dimshuffle({0, 2, 1, 3, 4});
  }
  Variable image_slices(const Variable& x, const SliceTap& tap) const {
    return merged(x, tap.image, tap.count, p_.stride[0]);
  }
  Variable out_slices(const Variable& y, const SliceTap& tap) const {
    return merged(y, tap.out, tap.count, 1);
  }
  Variable filters(const Variable& w, const SliceTap& tap) const { return w(all, all, tap.filter); }
  Variable nothing(const Shape& shape) const {
    // Where the operands lie: what is measured is built before anything has a place.
    const Device device = first_.type().device;
    const Variable host = zeros(shape, p_.dtype);
    return device.is_cuda() ? transfer(host, device) : host;
  }

  Variable forward() const {
    Variable sum;
    for (const SliceTap& tap : taps_) {
      if (tap.count == 0) continue;
      const Variable part = separated(
          apply_op(conv2d_op(), {image_slices(first_, tap), filters(second_, tap)}, attributes_), tap.count);
      if (!sum && tap.count == p_.out[0]) {
        sum = part;
        continue;
      }
      if (!sum) sum = nothing(p_.out_shape());
      sum = inc_subtensor(sum(all, all, slice(tap.out, tap.out + tap.count)), part);
    }
    return sum ? sum : nothing(p_.out_shape());
  }

  Variable backward_inputs() const {
    Variable sum;
    for (const SliceTap& tap : taps_) {
      if (tap.count == 0) continue;
      const Variable part = separated(apply_op(conv2d_grad_inputs_op(),
                                               {filters(first_, tap), out_slices(second_, tap),
                                                integer(p_.image[1]), integer(p_.image[2])},
                                               attributes_),
                                      tap.count);
      if (!sum && tap.count == p_.image[0]) {
        sum = part;
        continue;
      }
      if (!sum) sum = nothing(p_.image_shape());
      const std::int64_t end = tap.image + (tap.count - 1) * p_.stride[0] + 1;
      sum = inc_subtensor(sum(all, all, slice(tap.image, end, p_.stride[0])), part);
    }
    return sum ? sum : nothing(p_.image_shape());
  }

  Variable backward_weights() const {
    std::vector<Variable> slices(taps_.size());
    for (const SliceTap& tap : taps_) {
      Shape shape = p_.filter_shape();
      shape[2] = 1;
      slices[static_cast<std::size_t>(tap.filter)] =
          tap.count == 0 ? nothing(shape)
                         : apply_op(conv2d_grad_weights_op(),
                                    {image_slices(first_, tap), out_slices(second_, tap),
                                     integer(p_.kernel[1]), integer(p_.kernel[2])},
                                    attributes_)
                               .dimshuffle({0, 1, 'x', 2, 3});
    }
    return slices.size() == 1 ? slices[0] : join(2, {slices.begin(), slices.end()});
  }

  const ConvProblem& p_;
  const Variable first_, second_;
  const Attributes attributes_;
  const std::vector<SliceTap> taps_;
};

}  // namespace

std::vector<ConvProblem> conv3d2d_parts(const ConvProblem& problem) {
  std::vector<ConvProblem> parts;
  for (const SliceTap& tap : slice_taps(problem)) {
    if (tap.count > 0) parts.push_back(plane_problem(problem, tap.count));
  }
  return parts;
}

/// A convolution along three axes as a sum of those along two: one for each slice of the filters, over all
/// slices of all images at once.
const ConvCandidate conv_conv3d2d = {
    .name = "conv3d2d",
    .tag = "conv3d2d",
    .support = [](const ConvProblem& p) -> Support {
      if (p.rank != 3) return refuse(fmt::format("{} spatial axes; conv3d2d has 3", p.rank));
      return accept();
    },
    // The slices of image and output that one slice of the filters connects.
    .workspace = [](const ConvProblem& p) -> std::size_t {
      return static_cast<std::size_t>(p.image_shape().count() + 2 * p.out_shape().count()) * size_of(p.dtype);
    },
    .error = plain_sum_error,
    .build = [](const ConvProblem& p, const Variable& first, const Variable& second,
                const Attributes&) { return SlicedConv(p, first, second).build(); },
};

}  // namespace croton
