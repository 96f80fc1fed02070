// Ops that put tensors together: inc_subtensor, join, alloc, arange, make_vector.

#include "croton/codegen/lower_context.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

void copy(KernelBuilder& b, Buffer to, const Layout& to_layout, Index to_offset, Buffer from,
          const Layout& from_layout) {
  const std::vector<Layout> operands{to_layout, from_layout};
  IterationSpace space = iterate(to_layout.shape, operands);
  space.simplify(/*reorder=*/true);
  for_each_element(b, space, [&](std::span<const Index> at) {
    b.store(to, to_offset + offset_of(space, 0, at), b.load(from, offset_of(space, 1, at)));
  });
}

}  // namespace

/// inc_subtensor(x, y, integers…): x is copied (unless the result is computed over it), then the part is
/// changed.
std::optional<NodeCode> lower_inc_subtensor(const LowerContext& context) {
  const Node& node = context.node;
  const IndexPattern pattern = decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
  const bool set = node.attributes().get_or<bool>("set", false);
  const Layout& x = context.inputs[0];
  const Layout& y = context.inputs[1];
  const Layout& out = context.outputs[0];
  // A run-time step changes what y's extents mean: that is left to the reference.
  for (const IndexEntry& entry : pattern) {
    if (entry.step.kind == IndexField::Kind::input) return std::nullopt;
  }
  NodeKernel kernel(context, set ? "set_subtensor" : "inc_subtensor");
  KernelBuilder& b = kernel.builder();
  const Buffer from = kernel.input(0);
  const Buffer to = kernel.output(0);
  const Buffer part = kernel.input(1);
  if (node.op().destroy_map(node).empty()) copy(b, to, out, 0, from, x);

  // Where the part lies: a start and a stride for each of y's axes.
  std::vector<Buffer> integers;
  for (std::size_t i = 2; i < context.inputs.size(); ++i) integers.push_back(kernel.input(i));
  Layout selected{out.dtype, {}, {}};
  struct RunTimeStart {
    std::size_t integer;
    std::int64_t extent, stride;
    bool is_integer;
    std::int64_t step;
  };
  std::vector<RunTimeStart> starts;
  std::int64_t constant_offset = 0;
  const Shape& y_shape = y.shape;
  std::size_t y_axis = 0;
  for (std::size_t axis = 0; axis < out.shape.size(); ++axis) {
    const IndexEntry entry = axis < pattern.size() ? pattern[axis] : IndexEntry{};
    const std::int64_t extent = out.shape[axis];
    const std::int64_t stride = out.strides[axis];
    if (entry.start.kind == IndexField::Kind::input) {
      const std::int64_t step = entry.step.kind == IndexField::Kind::constant ? entry.step.value : 1;
      if (!entry.is_integer && step < 0) return std::nullopt;  // clipping differs: left to the reference
      starts.push_back({static_cast<std::size_t>(entry.start.value), extent, stride, entry.is_integer, step});
      if (!entry.is_integer) {
        // The part's extent: y's, which the plan has checked against the index unless y broadcasts.
        if (y_shape[y_axis] == 1) return std::nullopt;
        selected.shape.push_back(y_shape[y_axis++]);
        selected.strides.push_back(stride * step);
      }
      continue;
    }
    if (entry.stop.kind == IndexField::Kind::input) {
      if (y_shape[y_axis] == 1) return std::nullopt;
      const std::vector<AxisSelection> known =
          select_index({IndexEntry{false, entry.start, {}, entry.step}}, Shape{extent}, {});
      constant_offset += known[0].start * stride;
      selected.shape.push_back(y_shape[y_axis++]);
      selected.strides.push_back(stride * known[0].step);
      continue;
    }
    const std::vector<AxisSelection> known = select_index({entry}, Shape{extent}, {});
    constant_offset += known[0].start * stride;
    if (!known[0].dropped) {
      selected.shape.push_back(known[0].extent);
      selected.strides.push_back(known[0].step * stride);
      ++y_axis;
    }
  }
  const auto run_time_offset = [&] {
    Index offset = constant_offset;
    for (const RunTimeStart& start : starts) {
      const ScalarValue given = b.cast(b.load(integers[start.integer], 0), DType::int64);
      const auto number = [&](std::int64_t value) { return b.integer_constant(value, DType::int64); };
      ScalarValue at = b.emit(ScalarOp::select, b.emit(ScalarOp::lt, given, number(0)),
                              b.emit(ScalarOp::add, given, number(start.extent)), given);
      if (start.is_integer) {
        kernel.fault_if(b.emit(ScalarOp::bit_or, b.emit(ScalarOp::lt, at, number(0)),
                               b.emit(ScalarOp::ge, at, number(start.extent))));
      }
      const std::int64_t last = start.is_integer ? start.extent - 1 : start.extent;
      at = b.emit(ScalarOp::max, b.emit(ScalarOp::min, at, number(last)), number(0));
      offset += b.index_of(at) * Index(start.stride);
    }
    return offset;
  };
  const std::vector<Layout> operands{selected, y};
  IterationSpace space = iterate(selected.shape, operands);
  space.simplify(/*reorder=*/true);
  for_each_element(b, space, [&](std::span<const Index> at) {
    const Index target = run_time_offset() + offset_of(space, 0, at);
    ScalarValue value = b.load(part, offset_of(space, 1, at));
    if (!set) value = b.emit(ScalarOp::add, b.load(to, target), value);
    b.store(to, target, value);
  });
  return kernel.finish();
}

std::optional<NodeCode> lower_join(const LowerContext& context) {
  const auto axis = static_cast<std::size_t>(context.node.attributes().get<std::int64_t>("axis"));
  NodeKernel kernel(context, "join");
  KernelBuilder& b = kernel.builder();
  const Buffer to = kernel.output(0);
  const Layout& out = context.outputs[0];
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < context.inputs.size(); ++i) {
    const Layout part{out.dtype, context.inputs[i].shape, out.strides};
    copy(b, to, part, begin * out.strides[axis], kernel.input(i), context.inputs[i]);
    begin += context.inputs[i].shape[axis];
  }
  return kernel.finish();
}

/// alloc(value, extents…): value broadcast; the extents are the output's.
std::optional<NodeCode> lower_alloc(const LowerContext& context) {
  const Layout& value = context.inputs[0];
  const Layout& out = context.outputs[0];
  Layout padded{value.dtype, {}, {}};
  const std::size_t missing = out.shape.size() - value.shape.size();
  for (std::size_t axis = 0; axis < out.shape.size(); ++axis) {
    padded.shape.push_back(axis < missing ? 1 : value.shape[axis - missing]);
    padded.strides.push_back(axis < missing ? 0 : value.strides[axis - missing]);
  }
  for (std::size_t axis = 0; axis < out.shape.size(); ++axis) {
    if (padded.shape[axis] != 1 && padded.shape[axis] != out.shape[axis])
      return std::nullopt;  // the reference words it
  }
  NodeKernel kernel(context, "alloc");
  const Buffer from = kernel.input(0);
  const Buffer to = kernel.output(0);
  copy(kernel.builder(), to, out, 0, from, padded);
  return kernel.finish();
}

/// arange(start, stop, step): start + i * step; the length is the output's.
std::optional<NodeCode> lower_arange(const LowerContext& context) {
  const DType dtype = compute_dtype(context.outputs[0].dtype);
  NodeKernel kernel(context, "arange");
  KernelBuilder& b = kernel.builder();
  const Buffer start = kernel.input(0);
  const Buffer step = kernel.input(2);
  const Buffer to = kernel.output(0);
  b.parallel(
      "i", context.outputs[0].shape[0],
      [&](Index i) {
        const ScalarValue offset = b.emit(ScalarOp::mul, b.value_of(i, dtype), b.load(step, 0));
        b.store(to, i, b.emit(ScalarOp::add, b.load(start, 0), offset));
      },
      vectorize);
  return kernel.finish();
}

std::optional<NodeCode> lower_make_vector(const LowerContext& context) {
  NodeKernel kernel(context, "make_vector");
  KernelBuilder& b = kernel.builder();
  const Buffer to = kernel.output(0);
  std::vector<Buffer> scalars;
  for (std::size_t i = 0; i < context.inputs.size(); ++i) scalars.push_back(kernel.input(i));
  b.once([&] {
    for (std::size_t i = 0; i < scalars.size(); ++i)
      b.store(to, static_cast<std::int64_t>(i), b.load(scalars[i], 0));
  });
  return kernel.finish();
}

}  // namespace croton
