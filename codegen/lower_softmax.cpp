#include <limits>

#include "croton/codegen/lower_context.h"
#include "croton/ops/nnet.h"

namespace croton {

namespace {

// Shorter rows are worked on side by side, one a lane; longer ones one after the other, in vectors.
constexpr std::int64_t longest_softmax_lane_row = 24;
constexpr std::int64_t longest_softmax_lane_row_on_gpu = 4;
// On a GPU a row no longer than this is read once and kept in registers or shared memory.
constexpr std::int64_t longest_kept_row = 20 * 1024;

/// The loops of an op that works on rows along one axis. Operands 0 … are the tensors of the full shape.
struct Rows {
  IterationSpace outer;               // over the rows; operands as given
  std::vector<std::int64_t> strides;  // along the axis, one an operand
  std::int64_t length = 0;
  bool lanes = false;  // the loop over rows is the vector loop

  /// The first `tensors` operands decide in which direction vectors run.
  Rows(const Shape& shape, std::span<const Layout> operands, std::size_t axis, std::size_t tensors,
       bool is_gpu) {
    const IterationSpace all = iterate(shape, operands);
    length = shape[axis];
    std::vector<std::size_t> others;
    for (std::size_t loop = 0; loop < shape.size(); ++loop) {
      if (loop != axis) others.push_back(loop);
    }
    outer = all.only(others);
    bool contiguous = true;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      strides.push_back(all.strides[i][axis]);
      contiguous = contiguous && (i >= tensors || strides[i] == 1);
    }
    outer.simplify(/*reorder=*/false);
    lanes = length <= (is_gpu ? longest_softmax_lane_row_on_gpu : longest_softmax_lane_row) || !contiguous;
  }

  /// `body(indices)` for every row.
  void each(KernelBuilder& b, const std::function<void(std::span<const Index>)>& body) const {
    if (lanes) {
      for_each_element(b, outer, body);
    } else {
      b.parallel("r", outer.count(), [&](Index r) { body(split_index(r, outer.extents)); });
    }
  }
  /// `body(k)` for every element of a row.
  void along(KernelBuilder& b, const std::function<void(Index)>& body) const {
    b.loop("k", 0, length, lanes ? serial : vectorize, body);
  }
  Index offset(std::size_t operand, std::span<const Index> row, Index k) const {
    return offset_of(outer, operand, row) + k * Index(strides[operand]);
  }
};

ScalarValue infinity(KernelBuilder& b, DType dtype, double sign) {
  return b.constant(sign * std::numeric_limits<double>::infinity(), dtype);
}

/// A label as an index that is safe to use: out of range it raises the fault and becomes 0.
Index checked_label(NodeKernel& kernel, ScalarValue label, std::int64_t classes) {
  KernelBuilder& b = kernel.builder();
  const ScalarValue wide = b.cast(label, DType::int64);
  const ScalarValue zero = b.integer_constant(0, DType::int64);
  const ScalarValue bad = b.emit(ScalarOp::bit_or, b.emit(ScalarOp::lt, wide, zero),
                                 b.emit(ScalarOp::ge, wide, b.integer_constant(classes, DType::int64)));
  kernel.fault_if(bad);
  return b.index_of(b.emit(ScalarOp::select, bad, zero, wide));
}

}  // namespace

/// softmax, log_softmax, softmax_with_bias, crossentropy_softmax_1hot_with_bias: the row is shifted by its
/// maximum.
std::optional<NodeCode> lower_softmax(const LowerContext& context) {
  const Node& node = context.node;
  const bool is_log = &node.op() == &log_softmax_op();
  const bool has_labels = &node.op() == &crossentropy_softmax_1hot_with_bias_op();
  const bool has_bias = has_labels || &node.op() == &softmax_with_bias_op();
  const std::size_t axis =
      has_bias ? 1 : static_cast<std::size_t>(node.attributes().get<std::int64_t>("axis"));
  const std::size_t result = has_labels ? 1 : 0;  // the output that holds the softmax
  if (context.inputs[0].shape[axis] == 0) return std::nullopt;

  NodeKernel kernel(context, node.op().name());
  KernelBuilder& b = kernel.builder();
  std::vector<Layout> operands{context.outputs[result], context.inputs[0]};
  if (has_bias) {
    Layout bias{context.inputs[1].dtype, {1, context.inputs[1].shape[0]}, {0, context.inputs[1].strides[0]}};
    operands.push_back(bias);
  }
  if (has_labels) {  // one a row: stride 0 along the axis
    operands.push_back(
        {context.inputs[2].dtype, {context.inputs[2].shape[0], 1}, {context.inputs[2].strides[0], 0}});
    operands.push_back(
        {context.outputs[0].dtype, {context.outputs[0].shape[0], 1}, {context.outputs[0].strides[0], 0}});
  }
  const Rows rows(context.inputs[0].shape, operands, axis, /*tensors=*/2, context.is_gpu());
  const Buffer x = kernel.input(0);
  const Buffer bias = has_bias ? kernel.input(1) : Buffer{};
  const Buffer labels = has_labels ? kernel.input(2) : Buffer{};
  const Buffer y = kernel.output(result);
  const Buffer loss = has_labels ? kernel.output(0) : Buffer{};
  const DType dtype = compute_dtype(context.outputs[result].dtype);

  const bool keeps = context.is_gpu() && !rows.lanes && rows.length <= longest_kept_row;

  rows.each(b, [&](std::span<const Index> row) {
    const LocalArray kept = keeps ? b.array("row", dtype, rows.length) : LocalArray{};
    const auto read = [&](Index k) {
      const ScalarValue v = b.load(x, rows.offset(1, row, k));
      return has_bias ? b.emit(ScalarOp::add, v, b.load(bias, rows.offset(2, row, k))) : v;
    };
    const auto value = [&](Index k) { return keeps ? b.load(kept, k) : read(k); };
    ScalarValue of_label;
    if (has_labels) {  // before the row may be overwritten
      const Index label = checked_label(kernel, b.load(labels, offset_of(rows.outer, 3, row)), rows.length);
      of_label = read(label);
    }
    const Local largest = b.local("largest", infinity(b, dtype, -1));
    rows.along(b, [&](Index k) {
      const ScalarValue v = read(k);
      if (keeps) b.store(kept, k, v);
      b.reduce(ScalarOp::max, largest, v);
    });
    const ScalarValue shift = b.get(largest);
    const Local total = b.local("total", b.constant(0, dtype));
    rows.along(b, [&](Index k) {
      const ScalarValue e = b.emit(ScalarOp::exp, b.emit(ScalarOp::sub, value(k), shift));
      if (keeps && !is_log) b.store(kept, k, e);
      if (!keeps && !is_log) b.store(y, rows.offset(0, row, k), e);
      b.reduce(ScalarOp::add, total, e);
    });
    if (is_log) {
      const ScalarValue exact = b.emit(ScalarOp::log, b.get(total));
      rows.along(b, [&](Index k) {
        b.store(y, rows.offset(0, row, k),
                b.emit(ScalarOp::sub, b.emit(ScalarOp::sub, value(k), shift), exact));
      });
    } else {
      const ScalarValue scale = b.emit(ScalarOp::div, b.constant(1, dtype), b.get(total));
      rows.along(b, [&](Index k) {
        const Index at = rows.offset(0, row, k);
        b.store(y, at, b.emit(ScalarOp::mul, keeps ? b.load(kept, k) : b.load(y, at), scale));
      });
    }
    if (has_labels) {  // log(sum exp(v - max)) - (v[label] - max)
      const ScalarValue log_total = b.emit(ScalarOp::log, b.get(total));
      b.store(loss, offset_of(rows.outer, 4, row),
              b.emit(ScalarOp::sub, log_total, b.emit(ScalarOp::sub, of_label, shift)));
    }
  });
  return kernel.finish();
}

/// softmax_grad(g, s) = s * (g - sum(g * s)).
std::optional<NodeCode> lower_softmax_grad(const LowerContext& context) {
  const auto axis = static_cast<std::size_t>(context.node.attributes().get<std::int64_t>("axis"));
  NodeKernel kernel(context, "softmax_grad");
  KernelBuilder& b = kernel.builder();
  const std::vector<Layout> operands{context.outputs[0], context.inputs[0], context.inputs[1]};
  const Rows rows(context.outputs[0].shape, operands, axis, operands.size(), context.is_gpu());
  const Buffer g = kernel.input(0);
  const Buffer s = kernel.input(1);
  const Buffer y = kernel.output(0);
  const DType dtype = compute_dtype(context.outputs[0].dtype);
  const bool keeps = context.is_gpu() && !rows.lanes && 2 * rows.length <= longest_kept_row;
  rows.each(b, [&](std::span<const Index> row) {
    const LocalArray kept_g = keeps ? b.array("row_g", dtype, rows.length) : LocalArray{};
    const LocalArray kept_s = keeps ? b.array("row_s", dtype, rows.length) : LocalArray{};
    const Local total = b.local("total", b.constant(0, dtype));
    rows.along(b, [&](Index k) {
      const ScalarValue gradient = b.load(g, rows.offset(1, row, k));
      const ScalarValue probability = b.load(s, rows.offset(2, row, k));
      if (keeps) {
        b.store(kept_g, k, gradient);
        b.store(kept_s, k, probability);
      }
      b.reduce(ScalarOp::add, total, b.emit(ScalarOp::mul, gradient, probability));
    });
    const ScalarValue mean = b.get(total);
    rows.along(b, [&](Index k) {
      const ScalarValue gradient = keeps ? b.load(kept_g, k) : b.load(g, rows.offset(1, row, k));
      const ScalarValue probability = keeps ? b.load(kept_s, k) : b.load(s, rows.offset(2, row, k));
      const ScalarValue centred = b.emit(ScalarOp::sub, gradient, mean);
      b.store(y, rows.offset(0, row, k), b.emit(ScalarOp::mul, probability, centred));
    });
  });
  return kernel.finish();
}

/// crossentropy_categorical_1hot(p, y): -log(p[i, y[i]]).
std::optional<NodeCode> lower_crossentropy(const LowerContext& context) {
  NodeKernel kernel(context, "crossentropy_1hot");
  KernelBuilder& b = kernel.builder();
  const Layout& probabilities = context.inputs[0];
  const std::int64_t classes = probabilities.shape[1];
  if (classes == 0) return std::nullopt;
  const Buffer p = kernel.input(0);
  const Buffer labels = kernel.input(1);
  const Buffer loss = kernel.output(0);
  b.parallel(
      "i", probabilities.shape[0],
      [&](Index i) {
        const Index label =
            checked_label(kernel, b.load(labels, i * Index(context.inputs[1].strides[0])), classes);
        const ScalarValue chosen =
            b.load(p, i * Index(probabilities.strides[0]) + label * Index(probabilities.strides[1]));
        b.store(loss, i * Index(context.outputs[0].strides[0]),
                b.emit(ScalarOp::neg, b.emit(ScalarOp::log, chosen)));
      },
      vectorize);
  return kernel.finish();
}

/// crossentropy_categorical_1hot_grad(g, p, y): zeros but for -g[i] / p[i, y[i]];
/// crossentropy_softmax_1hot_with_bias_dx(g, s, y): g[i] * (s[i, j] - (j == y[i])).
std::optional<NodeCode> lower_crossentropy_grad(const LowerContext& context) {
  const bool of_softmax = &context.node.op() == &crossentropy_softmax_1hot_with_bias_dx_op();
  NodeKernel kernel(context, context.node.op().name());
  KernelBuilder& b = kernel.builder();
  const Shape& shape = context.outputs[0].shape;
  if (shape[1] == 0) return std::nullopt;
  const auto per_row = [](const Layout& vector) {  // g may be one number for all rows
    return Layout{vector.dtype, {vector.shape[0], 1}, {vector.strides[0], 0}};
  };
  const std::vector<Layout> operands{context.outputs[0], per_row(context.inputs[0]), context.inputs[1],
                                     per_row(context.inputs[2])};
  IterationSpace space = iterate(shape, operands);
  const Buffer g = kernel.input(0);
  const Buffer p = kernel.input(1);
  const Buffer labels = kernel.input(2);
  const Buffer out = kernel.output(0);
  const DType dtype = compute_dtype(context.outputs[0].dtype);
  // Not simplified: the column index is needed.
  for_each_element(b, space, [&](std::span<const Index> at) {
    checked_label(kernel, b.load(labels, offset_of(space, 3, at)), shape[1]);
    const ScalarValue label = b.cast(b.load(labels, offset_of(space, 3, at)), DType::int64);
    const ScalarValue hit = b.emit(ScalarOp::eq, b.value_of(at[1], DType::int64), label);
    const ScalarValue gradient = b.load(g, offset_of(space, 1, at));
    const ScalarValue value = b.load(p, offset_of(space, 2, at));
    const ScalarValue zero = b.constant(0, dtype);
    ScalarValue result;
    if (of_softmax) {
      const ScalarValue one_hot = b.emit(ScalarOp::select, hit, b.constant(1, dtype), zero);
      result = b.emit(ScalarOp::mul, gradient, b.emit(ScalarOp::sub, value, one_hot));
    } else {
      result =
          b.emit(ScalarOp::select, hit, b.emit(ScalarOp::neg, b.emit(ScalarOp::div, gradient, value)), zero);
    }
    b.store(out, offset_of(space, 0, at), result);
  });
  return kernel.finish();
}

}  // namespace croton
