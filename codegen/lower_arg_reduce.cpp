#include <algorithm>

#include "croton/codegen/lower_fold.h"
#include "croton/ops/reduce.h"

namespace croton {

namespace {

constexpr std::int64_t shortest_arg_row = 16;

/// Elements between neighbours of the last loop.
std::int64_t inner_stride(const IterationSpace& space) {
  return space.extents.empty() ? 0 : space.strides[0].back();
}

}  // namespace

std::optional<NodeCode> lower_arg_reduce(const LowerContext& context) {
  const auto& axes = context.node.attributes().get<std::vector<std::int64_t>>("axes");
  const Layout& in = context.inputs[0];
  const bool is_max = &context.node.op() == &argmax_op();
  const ScalarOp op = is_max ? ScalarOp::max : ScalarOp::min;
  const Fold fold{op, compute_dtype(in.dtype)};
  std::vector<std::size_t> kept_axes, reduced_axes;
  for (std::size_t axis = 0; axis < in.shape.size(); ++axis) {
    const bool reduced = std::ranges::count(axes, static_cast<std::int64_t>(axis)) != 0;
    if (reduced && in.shape[axis] == 0) return std::nullopt;  // an error that the reference evaluator words
    (reduced ? reduced_axes : kept_axes).push_back(axis);
  }
  const IterationSpace all = iterate(in.shape, context.inputs);
  const IterationSpace kept = all.only(kept_axes);
  const IterationSpace reduced = all.only(reduced_axes);
  NodeKernel kernel(context, is_max ? "argmax" : "argmin");
  KernelBuilder& b = kernel.builder();
  const Buffer x = kernel.input(0);
  const Buffer y = kernel.output(0);
  // The reduced elements are counted in C order, whatever their strides: the index is what is asked for.
  const std::int64_t inner = reduced.extents.empty() ? 1 : reduced.extents.back();
  const std::int64_t outer = reduced.count() / inner;
  const std::vector<std::int64_t> outer_extents(reduced.extents.begin(),
                                                reduced.extents.end() - (reduced.extents.empty() ? 0 : 1));
  if (context.is_gpu()) {
    const bool columns = kept.count() > 1 && inner_stride(kept) == 1 && inner_stride(reduced) != 1;
    b.parallel(
        "o", kept.count(),
        [&](Index o) {
          const Index base = offset_of(kept, 0, split_index(o, kept.extents));
          const Local extreme = b.local("extreme", first_value(b, fold));
          const Local where = b.local("where", b.integer_constant(0, DType::int64));
          b.loop("k", 0, reduced.count(), columns ? serial : vectorize, [&](Index k) {
            const Index offset = base + offset_of(reduced, 0, split_index(k, reduced.extents));
            b.reduce_arg(op, extreme, where, b.load(x, offset), b.value_of(k, DType::int64));
          });
          b.store(y, o, b.get(where));
        },
        columns ? vectorize : serial);
    return kernel.finish();
  }
  b.parallel("o", kept.count(), [&](Index o) {
    const Index base = offset_of(kept, 0, split_index(o, kept.extents));
    const Local extreme = b.local("extreme", first_value(b, fold));
    const Local where = b.local("where", b.integer_constant(0, DType::int64));
    b.loop("k", 0, outer, [&](Index k) {
      std::vector<Index> indices = split_index(k, outer_extents);
      indices.emplace_back();
      b.loop("j", 0, inner, inner >= shortest_arg_row ? vectorize : serial, [&](Index j) {
        indices.back() = j;
        const Index offset = reduced.extents.empty() ? base : base + offset_of(reduced, 0, indices);
        b.reduce_arg(op, extreme, where, b.load(x, offset), b.value_of(k * Index(inner) + j, DType::int64));
      });
    });
    b.store(y, o, b.get(where));
  });
  return kernel.finish();
}

}  // namespace croton
