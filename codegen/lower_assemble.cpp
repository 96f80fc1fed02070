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

/// The part of a tensor that an index selects: its layout, and where it begins. Starts that are known only
/// when the kernel runs add to the offset.
struct SelectedPart {
  struct RunTimeStart {
    std::size_t integer;  // among the node's integers
    std::int64_t extent, stride;
    bool is_integer;  // the axis is dropped
  };
  Layout layout;
  std::int64_t offset = 0;
  std::vector<RunTimeStart> starts;
};

/// `y`: the extents of what the part is changed by, axis by axis. Nothing where the extents of the part are
/// not theirs: that is left to the reference.
std::optional<SelectedPart> selected_part(const IndexPattern& pattern, const Layout& of, const Shape& y) {
  SelectedPart part{{of.dtype, {}, {}}, 0, {}};
  std::size_t y_axis = 0;
  for (std::size_t axis = 0; axis < of.shape.size(); ++axis) {
    const IndexEntry entry = axis < pattern.size() ? pattern[axis] : IndexEntry{};
    const std::int64_t extent = of.shape[axis], stride = of.strides[axis];
    // A run-time step changes what y's extents mean.
    if (entry.step.kind == IndexField::Kind::input) return std::nullopt;
    if (entry.start.kind == IndexField::Kind::input) {
      const std::int64_t step = entry.step.kind == IndexField::Kind::constant ? entry.step.value : 1;
      if (!entry.is_integer && step < 0) return std::nullopt;  // clipping differs
      part.starts.push_back({static_cast<std::size_t>(entry.start.value), extent, stride, entry.is_integer});
      if (entry.is_integer) continue;
      // The part's extent: y's, which the plan has checked against the index unless y broadcasts.
      if (y[y_axis] == 1) return std::nullopt;
      part.layout.shape.push_back(y[y_axis++]);
      part.layout.strides.push_back(stride * step);
      continue;
    }
    const bool has_open_end = entry.stop.kind == IndexField::Kind::input;
    if (has_open_end && y[y_axis] == 1) return std::nullopt;
    const IndexEntry known = has_open_end ? IndexEntry{false, entry.start, {}, entry.step} : entry;
    const AxisSelection selection = select_axis(known, axis, extent, {});
    part.offset += selection.start * stride;
    if (selection.dropped) continue;
    part.layout.shape.push_back(has_open_end ? y[y_axis] : selection.extent);
    part.layout.strides.push_back(selection.step * stride);
    ++y_axis;
  }
  return part;
}

/// Where the part begins, as the kernel finds it; raises the fault for integers out of range.
Index offset_of_part(NodeKernel& kernel, const SelectedPart& part, std::span<const Buffer> integers) {
  KernelBuilder& b = kernel.builder();
  const auto number = [&](std::int64_t value) { return b.integer_constant(value, DType::int64); };
  Index offset = part.offset;
  for (const SelectedPart::RunTimeStart& start : part.starts) {
    const ScalarValue given = b.cast(b.load(integers[start.integer], 0), DType::int64);
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
}

}  // namespace

/// inc_subtensor(x, y, integers…): x is copied (unless the result is computed over it), then the part is
/// changed.
std::optional<NodeCode> lower_inc_subtensor(const LowerContext& context) {
  const Node& node = context.node;
  const bool set = node.attributes().get_or<bool>("set", false);
  const Layout &x = context.inputs[0], &y = context.inputs[1], &out = context.outputs[0];
  const IndexPattern pattern = decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
  const std::optional<SelectedPart> selected = selected_part(pattern, out, y.shape);
  if (!selected) return std::nullopt;
  NodeKernel kernel(context, set ? "set_subtensor" : "inc_subtensor");
  KernelBuilder& b = kernel.builder();
  const Buffer from = kernel.input(0);
  const Buffer to = kernel.output(0);
  const Buffer part = kernel.input(1);
  if (node.op().destroy_map(node).empty()) copy(b, to, out, 0, from, x);
  std::vector<Buffer> integers;
  for (std::size_t i = 2; i < context.inputs.size(); ++i) integers.push_back(kernel.input(i));
  const std::vector<Layout> operands{selected->layout, y};
  IterationSpace space = iterate(selected->layout.shape, operands);
  space.simplify(/*reorder=*/true);
  for_each_element(b, space, [&](std::span<const Index> at) {
    const Index target = offset_of_part(kernel, *selected, integers) + offset_of(space, 0, at);
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
