
#include "numbers.h"
#include "workload.h"

using namespace croton;

namespace {

/// A convolution without flip, in one direction. Sizes: batch, channels, side, filters, width of a filter,
/// stride, pad, dilation, groups.
struct Convolution {
  Shape image, filters, output;
  ConvOptions options;
  double operations;

  explicit Convolution(Sizes s) : image{s[0], s[1], s[2], s[2]}, filters{s[3], s[1] / s[8], s[4], s[4]} {
    const std::int64_t side = (s[2] + 2 * s[6] - (s[4] - 1) * s[7] - 1) / s[5] + 1;
    output = {s[0], s[3], side, side};
    options = {.border_mode = static_cast<int>(s[6]),
               .subsample = {s[5], s[5]},
               .filter_flip = false,
               .filter_dilation = {s[7], s[7]},
               .num_groups = s[8]};
    operations = 2.0 * static_cast<double>(output.count() * filters[1] * s[4] * s[4]);
  }
};

std::vector<Operand> operands(const Shape& shape) { return std::vector<Operand>(shape.begin(), shape.end()); }

Workload finish(const Convolution& c, Workload work) {
  work.operations = c.operations;
  return work;
}

Workload conv_forward(Sizes sizes) {
  const Convolution c(sizes);
  const Tensor image = uniform(c.image, 1), filters = uniform(c.filters, 2);
  const auto begin = Clock::now();
  const Variable x = ftensor4("x"), w = ftensor4("w");
  return finish(c, workload_of(begin, {{x, w}, conv2d(x, w, c.options), {}, "conv", {image, filters}}));
}

Workload conv_inputs(Sizes sizes) {
  const Convolution c(sizes);
  const Tensor filters = uniform(c.filters, 2), gradient = uniform(c.output, 3);
  const auto begin = Clock::now();
  const Variable w = ftensor4("w"), gy = ftensor4("gy");
  const Variable gx = conv2d_grad_wrt_inputs(gy, w, operands(c.image), c.options);
  return finish(c, workload_of(begin, {{w, gy}, gx, {}, "conv", {filters, gradient}}));
}

Workload conv_weights(Sizes sizes) {
  const Convolution c(sizes);
  const Tensor image = uniform(c.image, 1), gradient = uniform(c.output, 3);
  const auto begin = Clock::now();
  const Variable x = ftensor4("x"), gy = ftensor4("gy");
  const Variable gw = conv2d_grad_wrt_weights(x, gy, operands(c.filters), c.options);
  return finish(c, workload_of(begin, {{x, gy}, gw, {}, "conv", {image, gradient}}));
}

}  // namespace

std::span<const Kind> convolution_kinds() {
  static constexpr Kind kinds[] = {
      {"conv_forward", 9, conv_forward}, {"conv_inputs", 9, conv_inputs}, {"conv_weights", 9, conv_weights}};
  return kinds;
}
