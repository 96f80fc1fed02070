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

  // Where element `k` of the filter meets output `o`.
  std::int64_t position(std::int64_t o, std::int64_t k) const { return o * stride + k * dilation - pad; }
  bool holds(std::int64_t at) const { return at >= 0 && at < image; }
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

// Calls f(image, kernel, out, count) for each row of outputs and each element of the filter that meets it:
// `count` outputs from `out` on, next to each other, and as many positions of the image from `image` on, a
// stride apart.
template <class F>
void for_each_row(const std::array<Axis, 3>& a, F&& f) {
  for (std::int64_t k2 = 0; k2 < a[2].kernel; ++k2) {
    std::int64_t begin = 0, end = a[2].out;
    while (begin < end && !a[2].holds(a[2].position(begin, k2))) ++begin;
    while (end > begin && !a[2].holds(a[2].position(end - 1, k2))) --end;
    if (begin == end) continue;
    for (std::int64_t o0 = 0; o0 < a[0].out; ++o0) {
      for (std::int64_t k0 = 0; k0 < a[0].kernel; ++k0) {
        const std::int64_t i0 = a[0].position(o0, k0);
        if (!a[0].holds(i0)) continue;
        for (std::int64_t o1 = 0; o1 < a[1].out; ++o1) {
          for (std::int64_t k1 = 0; k1 < a[1].kernel; ++k1) {
            const std::int64_t i1 = a[1].position(o1, k1);
            if (!a[1].holds(i1)) continue;
            f((i0 * a[1].image + i1) * a[2].image + a[2].position(begin, k2),
              (a[0].filter(k0) * a[1].kernel + a[1].filter(k1)) * a[2].kernel + a[2].filter(k2),
              (o0 * a[1].out + o1) * a[2].out + begin, end - begin);
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
  const std::vector<double> first_values = doubles(first), second_values = doubles(second);
  const double *a = first_values.data(), *b = second_values.data();
  const Shape shape = p.direction == ConvDirection::forward           ? p.out_shape()
                      : p.direction == ConvDirection::backward_inputs ? p.image_shape()
                                                                      : p.filter_shape();
  std::vector<double> results(static_cast<std::size_t>(shape.count()), 0.0);
  double* sums = results.data();
  const std::int64_t stride = axes[2].stride;
  const std::int64_t next = p.unshared ? channels * kernel : 0;  // from one output's filters to the next
  for (std::int64_t n = 0; n < p.batch; ++n) {
    for (std::int64_t o = 0; o < p.filters; ++o) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto image_at = (n * p.channels + o / filters * channels + c) * image;
        const auto out_at = (n * p.filters + o) * out;
        for_each_row(axes, [&](std::int64_t i, std::int64_t k, std::int64_t y, std::int64_t count) {
          const std::int64_t x = image_at + i, g = out_at + y;
          const std::int64_t w = ((p.unshared ? o * out + y : o) * channels + c) * kernel + k;
          switch (p.direction) {
            case ConvDirection::forward:
              for (std::int64_t j = 0; j < count; ++j) sums[g + j] += a[x + j * stride] * b[w + j * next];
              break;
            case ConvDirection::backward_inputs:
              for (std::int64_t j = 0; j < count; ++j) sums[x + j * stride] += a[w + j * next] * b[g + j];
              break;
            case ConvDirection::backward_weights:
              for (std::int64_t j = 0; j < count; ++j) sums[w + j * next] += a[x + j * stride] * b[g + j];
          }
        });
      }
    }
  }
  return Tensor(results, shape).astype(p.dtype);
}

}  // namespace croton
