// Convolutions whose filters differ from one position of the output to the next: each filter element serves
// one position only, so that there is nothing to keep in registers; plain sums, an index of the result each.

#include "croton/codegen/conv_kernel.h"
#include "croton/codegen/lower_conv_gpu.h"
#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

class UnsharedConv : ConvKernel {
 public:
  UnsharedConv(const LowerContext& context, const ConvProblem& p) : ConvKernel(context, p, "conv_unshared") {}

  NodeCode lower() {
    switch (p_.direction) {
      case ConvDirection::forward:
        each({p_.batch, p_.filters, p_.out[0], p_.out[1]}, [&](const auto& at) { return output(at); });
        break;
      case ConvDirection::backward_inputs:
        each({p_.batch, p_.channels, p_.image[0], p_.image[1]}, [&](const auto& at) { return input(at); });
        break;
      default:
        each({p_.filters, p_.out[0], p_.out[1], channels_, p_.kernel[0], p_.kernel[1]},
             [&](const auto& at) { return weight(at); });
    }
    return kernel_.finish();
  }

 private:
  using Position = std::vector<Index>;

  template <class F>
  void each(const std::vector<std::int64_t>& extents, const F& value) {
    std::int64_t count = 1;
    for (const std::int64_t extent : extents) count *= extent;
    if (count == 0) return;
    b_.parallel("e", count, [&](Index e) { b_.store(result_, e, value(split_index(e, extents))); });
  }

  ScalarValue zero_value() { return b_.constant(0, compute_dtype(p_.dtype)); }
  Local zero() { return b_.local("sum", zero_value()); }
  void add(Local sum, ScalarValue x, ScalarValue y) {
    b_.set(sum, b_.emit(ScalarOp::fma, x, y, b_.get(sum)));
  }

  template <class F>
  void each_tap(const F& f) {
    b_.loop("i", 0, p_.kernel[0], [&](Index i) { b_.loop("j", 0, p_.kernel[1], [&](Index j) { f(i, j); }); });
  }

  /// Where tap k of output o meets the image.
  ImageElement met(std::size_t axis, Index o, Index k) {
    const Index at = o * Index(p_.stride[axis]) + k * Index(p_.dilation[axis]) - Index(p_.pad_lo[axis]);
    return image_element(b_, at, p_.image[axis]);
  }
  Index tap(std::size_t axis, Index k) const { return p_.flip ? Index(p_.kernel[axis] - 1) - k : k; }

  Index image_plane(Index image, Index channel) const {
    return (image * Index(p_.channels) + channel) * Index(p_.image[0] * p_.image[1]);
  }
  Index output_at(Index image, Index filter, Index row, Index column) const {
    return ((image * Index(p_.filters) + filter) * Index(p_.out[0]) + row) * Index(p_.out[1]) + column;
  }
  Index filter_at(Index filter, Index row, Index column, Index channel, Index i, Index j) const {
    const Index position = (filter * Index(p_.out[0]) + row) * Index(p_.out[1]) + column;
    return ((position * Index(channels_) + channel) * Index(p_.kernel[0]) + tap(0, i)) * Index(p_.kernel[1]) +
           tap(1, j);
  }

  ScalarValue output(const Position& at) {
    const Local sum = zero();
    const Index group = floor_div(at[1], filters_);
    b_.loop("c", 0, channels_, [&](Index c) {
      const Index plane = image_plane(at[0], group * Index(channels_) + c);
      each_tap([&](Index i, Index j) {
        const ScalarValue x = load_image(b_, first_, plane, p_.image[1], met(0, at[2], i), met(1, at[3], j));
        add(sum, x, b_.load(second_, filter_at(at[1], at[2], at[3], c, i, j)));
      });
    });
    return b_.get(sum);
  }

  /// The output that tap k of an axis brings to element x of the image, and whether there is one.
  ImageElement reached(std::size_t axis, Index x, Index k) {
    const Index from = x + Index(p_.pad_lo[axis]) - k * Index(p_.dilation[axis]);
    ImageElement element = image_element(b_, floor_div(from, p_.stride[axis]), p_.out[axis]);
    if (p_.stride[axis] == 1) return element;
    const ScalarValue is_on_grid = b_.compare(ScalarOp::eq, mod(from, p_.stride[axis]), 0);
    element.exists = both(b_, element.exists, is_on_grid);
    return element;
  }

  ScalarValue input(const Position& at) {
    const Local sum = zero();
    const Index group = floor_div(at[1], channels_), channel = mod(at[1], channels_);
    b_.loop("o", 0, filters_, [&](Index o) {
      const Index filter = group * Index(filters_) + o;
      each_tap([&](Index i, Index j) {
        const ImageElement row = reached(0, at[2], i), column = reached(1, at[3], j);
        const ScalarValue g = load_image(b_, second_, output_at(at[0], filter, 0, 0), p_.out[1], row, column);
        const Index w = filter_at(filter, row.at, column.at, channel, i, j);
        const std::optional<ScalarValue> exists = both(b_, row.exists, column.exists);
        add(sum, g, exists ? b_.load(first_, w, exists, zero_value()) : b_.load(first_, w));
      });
    });
    return b_.get(sum);
  }

  ScalarValue weight(const Position& at) {
    const Local sum = zero();
    const Index channel = floor_div(at[0], filters_) * Index(channels_) + at[3];
    const ImageElement row = met(0, at[1], tap(0, at[4])), column = met(1, at[2], tap(1, at[5]));
    b_.loop("n", 0, p_.batch, [&](Index n) {
      const ScalarValue x = load_image(b_, first_, image_plane(n, channel), p_.image[1], row, column);
      add(sum, x, b_.load(second_, output_at(n, at[0], at[1], at[2])));
    });
    return b_.get(sum);
  }
};

}  // namespace

NodeCode lower_conv_unshared(const LowerContext& context, const ConvProblem& problem) {
  return UnsharedConv(context, problem).lower();
}

}  // namespace croton
