// Direct convolutions on a GPU: an element of the result a thread, or a group of threads for an element of
// the filters' gradient. Simple and correct for every problem; libraries are faster for large ones.

#include <algorithm>

#include "croton/codegen/lower_conv_lanes.h"

namespace croton {

namespace {

ScalarValue product_sum(KernelBuilder& b, ScalarValue x, ScalarValue y, ScalarValue sum) {
  return b.emit(ScalarOp::add, sum, b.emit(ScalarOp::mul, x, y));
}

ScalarValue within(KernelBuilder& b, Index at, std::int64_t extent) {
  return b.emit(ScalarOp::bit_and, b.compare(ScalarOp::ge, at, 0), b.compare(ScalarOp::lt, at, extent));
}

}  // namespace

NodeCode lower_conv_on_gpu(const LowerContext& context, const Correlation& c) {
  NodeKernel kernel(context, "conv");
  KernelBuilder& b = kernel.builder();
  const bool is_forward = context.node.attributes().get<std::string>("direction") == "forward";
  const Buffer source = kernel.input(is_forward ? 0 : 1), weights = kernel.input(is_forward ? 1 : 0);
  const Buffer result = kernel.output(0);
  for (const AxisPhase& rows : c.rows.phases) {
    for (const AxisPhase& columns : c.columns.phases) {
      const std::vector<std::int64_t> extents{c.batch, c.groups, c.results, rows.count, columns.count};
      std::int64_t count = 1;
      for (const std::int64_t extent : extents) count *= extent;
      b.parallel(
          "e", count,
          [&](Index e) {
            const std::vector<Index> at = split_index(e, extents);
            const Index y = at[3], x = at[4];
            const ScalarValue zero = b.constant(0, compute_dtype(c.dtype));
            const Local sum = b.local("sum", zero);
            const Index weight =
                Index(c.weights.base) + at[1] * Index(c.weights.group) + at[2] * Index(c.weights.result);
            b.loop("c", 0, c.sources, [&](Index channel) {
              const Index plane = ((at[0] * Index(c.groups) + at[1]) * Index(c.sources) + channel) *
                                  Index(c.rows.source * c.columns.source);
              b.loop("k", 0, rows.taps, [&](Index k) {
                const Index row = y * Index(rows.stride) + Index(rows.offset) + k * Index(rows.offset_step);
                b.loop("l", 0, columns.taps, [&](Index l) {
                  const Index column =
                      x * Index(columns.stride) + Index(columns.offset) + l * Index(columns.offset_step);
                  const ScalarValue exists = b.emit(ScalarOp::bit_and, within(b, row, c.rows.source),
                                                    within(b, column, c.columns.source));
                  const ScalarValue v =
                      b.load(source, plane + row * Index(c.columns.source) + column, exists, zero);
                  const Index kernel_row = Index(rows.kernel) + k * Index(rows.kernel_step);
                  const Index kernel_column = Index(columns.kernel) + l * Index(columns.kernel_step);
                  const ScalarValue w = b.load(weights, weight + channel * Index(c.weights.source) +
                                                            kernel_row * Index(c.weights.row) +
                                                            kernel_column * Index(c.weights.column));
                  b.set(sum, product_sum(b, v, w, b.get(sum)));
                });
              });
            });
            const Index row = y * Index(rows.step) + Index(rows.first);
            const Index column = x * Index(columns.step) + Index(columns.first);
            const Index plane = (at[0] * Index(c.groups) + at[1]) * Index(c.results) + at[2];
            b.store(result, (plane * Index(c.rows.result) + row) * Index(c.columns.result) + column,
                    b.get(sum));
          },
          vectorize);
    }
  }
  return kernel.finish();
}

NodeCode lower_conv_weights_on_gpu(const LowerContext& context, const ConvProblem& p) {
  NodeKernel kernel(context, "conv_weights");
  KernelBuilder& b = kernel.builder();
  const Buffer image = kernel.input(0), gradient = kernel.input(1), result = kernel.output(0);
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  const std::vector<std::int64_t> weights{p.filters, channels, p.kernel[0], p.kernel[1]};
  const std::vector<std::int64_t> terms{p.batch, p.out[0], p.out[1]};
  b.parallel("w", p.filter_shape().count(), [&](Index w) {
    const std::vector<Index> at = split_index(w, weights);
    const ScalarValue zero = b.constant(0, compute_dtype(p.dtype));
    const Local sum = b.local("sum", zero);
    // Where the element lies in the window, whichever way the filters are written.
    const Index k = p.flip ? Index(p.kernel[0] - 1) - at[2] : at[2],
                l = p.flip ? Index(p.kernel[1] - 1) - at[3] : at[3];
    const Index channel = floor_div(at[0], std::max<std::int64_t>(filters, 1)) * Index(channels) + at[1];
    b.loop("t", 0, p.batch * p.out[0] * p.out[1], vectorize, [&](Index t) {
      const std::vector<Index> term = split_index(t, terms);
      const Index row = term[1] * Index(p.stride[0]) - Index(p.pad_lo[0]) + k * Index(p.dilation[0]);
      const Index column = term[2] * Index(p.stride[1]) - Index(p.pad_lo[1]) + l * Index(p.dilation[1]);
      const ScalarValue exists =
          b.emit(ScalarOp::bit_and, within(b, row, p.image[0]), within(b, column, p.image[1]));
      const Index plane = term[0] * Index(p.channels) + channel;
      const ScalarValue v =
          b.load(image, (plane * Index(p.image[0]) + row) * Index(p.image[1]) + column, exists, zero);
      const Index out_plane = term[0] * Index(p.filters) + at[0];
      const ScalarValue g =
          b.load(gradient, (out_plane * Index(p.out[0]) + term[1]) * Index(p.out[1]) + term[2]);
      b.reduce(ScalarOp::add, sum, b.emit(ScalarOp::mul, v, g));
    });
    b.store(result, w, b.get(sum));
  });
  return kernel.finish();
}

}  // namespace croton
