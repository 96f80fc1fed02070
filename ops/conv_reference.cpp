#include <array>

#include "croton/graph/error.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/conv_problem.h"

namespace croton {

namespace {

// The numbers of one spatial axis; problems of a lower rank get axes of extent 1 in front.
struct Axis {
  std::int64_t image = 1, kernel = 1, out = 1, pad = 0, stride = 1, dilation = 1;
  bool flip = false;

  // Where element `k` of the filter meets output `o`, or -1 in the padding.
  std::int64_t position(std::int64_t o, std::int64_t k) const {
    const std::int64_t at = o * stride + k * dilation - pad;
    return at >= 0 && at < image ? at : -1;
  }
  std::int64_t filter(std::int64_t k) const { return flip ? kernel - 1 - k : k; }
};

std::array<Axis, 3> axes_of(const ConvProblem& p) {
  if (p.rank > 3) throw InternalError("the reference convolves along 3 axes at most");
  std::array<Axis, 3> axes;
  for (std::size_t i = 0; i < static_cast<std::size_t>(p.rank); ++i) {
    axes[3 - static_cast<std::size_t>(p.rank) + i] = {p.image[i],  p.kernel[i],   p.out[i], p.pad_lo[i],
                                                      p.stride[i], p.dilation[i], p.flip};
  }
  return axes;
}

std::vector<double> doubles(const Tensor& tensor) {
  return tensor.astype(DType::float64).to_vector<double>();
}

// Calls f(image, kernel, out) with the positions within a plane, volume or line that meet.
template <class F>
void for_each_meeting(const std::array<Axis, 3>& a, F&& f) {
  for (std::int64_t o0 = 0; o0 < a[0].out; ++o0) {
    for (std::int64_t o1 = 0; o1 < a[1].out; ++o1) {
      for (std::int64_t o2 = 0; o2 < a[2].out; ++o2) {
        const std::int64_t out = (o0 * a[1].out + o1) * a[2].out + o2;
        for (std::int64_t k0 = 0; k0 < a[0].kernel; ++k0) {
          const std::int64_t i0 = a[0].position(o0, k0);
          if (i0 < 0) continue;
          for (std::int64_t k1 = 0; k1 < a[1].kernel; ++k1) {
            const std::int64_t i1 = a[1].position(o1, k1);
            if (i1 < 0) continue;
            for (std::int64_t k2 = 0; k2 < a[2].kernel; ++k2) {
              const std::int64_t i2 = a[2].position(o2, k2);
              if (i2 < 0) continue;
              f((i0 * a[1].image + i1) * a[2].image + i2,
                (a[0].filter(k0) * a[1].kernel + a[1].filter(k1)) * a[2].kernel + a[2].filter(k2), out);
            }
          }
        }
      }
    }
  }
}

}  // namespace

Tensor conv_reference(const ConvProblem& p, const Tensor& first, const Tensor& second) {
  const std::array<Axis, 3> axes = axes_of(p);
  const std::int64_t image = p.image.count(), kernel = p.kernel.count(), out = p.out.count();
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  const std::vector<double> a = doubles(first), b = doubles(second);
  const Shape shape = p.direction == ConvDirection::forward           ? p.out_shape()
                      : p.direction == ConvDirection::backward_inputs ? p.image_shape()
                                                                      : p.filter_shape();
  std::vector<double> sums(static_cast<std::size_t>(shape.count()), 0.0);
  for (std::int64_t n = 0; n < p.batch; ++n) {
    for (std::int64_t o = 0; o < p.filters; ++o) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto image_at = (n * p.channels + o / filters * channels + c) * image;
        const auto filter_at = (o * channels + c) * kernel;
        const auto out_at = (n * p.filters + o) * out;
        for_each_meeting(axes, [&](std::int64_t i, std::int64_t k, std::int64_t y) {
          const auto x = static_cast<std::size_t>(image_at + i), w = static_cast<std::size_t>(filter_at + k),
                     g = static_cast<std::size_t>(out_at + y);
          switch (p.direction) {
            case ConvDirection::forward:
              sums[g] += a[x] * b[w];
              break;
            case ConvDirection::backward_inputs:
              sums[x] += a[w] * b[g];
              break;
            case ConvDirection::backward_weights:
              sums[w] += a[x] * b[g];
              break;
          }
        });
      }
    }
  }
  return Tensor(sums, shape).astype(p.dtype);
}

}  // namespace croton
