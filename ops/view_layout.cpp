#include "croton/ops/view_layout.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/ops/indexing.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

ViewLayout dimshuffled(const Node& node, const Shape& shape, const Shape& strides) {
  ViewLayout view;
  std::vector<bool> kept(shape.size(), false);
  for (const std::int64_t axis : node.attributes().get<std::vector<std::int64_t>>("pattern")) {
    if (axis >= 0) kept[static_cast<std::size_t>(axis)] = true;
    view.shape.push_back(axis < 0 ? 1 : shape[static_cast<std::size_t>(axis)]);
    view.strides.push_back(axis < 0 ? 0 : strides[static_cast<std::size_t>(axis)]);
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] || shape[i] == 1) continue;
    throw ShapeError(fmt::format("{}: axis {} must have extent 1 to be dropped, got shape {}",
                                 node.op().label(node), i, to_string(shape)));
  }
  return view;
}

// Axes of the old and the new shape are matched in groups of equal counts; each group of old axes must lie in
// memory as one axis would.
std::optional<Shape> reshaped_strides(const Shape& from, const Shape& strides, const Shape& to) {
  if (to.count() == 0) return contiguous_strides(to);
  Shape old_extents, old_strides;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] == 1) continue;
    old_extents.push_back(from[i]);
    old_strides.push_back(strides[i]);
  }
  Shape result = Shape::filled(to.size(), 0);
  std::size_t i = 0, j = 0;
  while (j < to.size()) {
    if (to[j] == 1) {
      ++j;
      continue;
    }
    std::size_t old_end = i + 1, new_end = j + 1;
    std::int64_t old_count = old_extents[i], new_count = to[j];
    while (old_count != new_count) {
      if (old_count < new_count) {
        old_count *= old_extents[old_end++];
      } else {
        new_count *= to[new_end++];
      }
    }
    for (std::size_t k = i; k + 1 < old_end; ++k) {
      if (old_strides[k] != old_strides[k + 1] * old_extents[k + 1]) return std::nullopt;
    }
    std::int64_t stride = old_strides[old_end - 1];
    for (std::size_t k = new_end; k-- > j;) {
      result[k] = stride;
      stride *= to[k];
    }
    i = old_end;
    j = new_end;
  }
  return result;
}

// The values of an integer input, or nothing.
std::optional<std::vector<std::int64_t>> integers_of(const Node& node, std::size_t input,
                                                     std::span<const Tensor> values) {
  if (input < values.size() && values[input].defined()) {
    return values[input].to_host().astype(DType::int64).to_vector<std::int64_t>();
  }
  const auto known = static_value(node.input(input));
  if (!known) return std::nullopt;
  return known->astype(DType::int64).to_vector<std::int64_t>();
}

std::optional<ViewLayout> reshaped(const Node& node, const Shape& shape, const Shape& strides,
                                   std::span<const Tensor> values) {
  // The type knows the extents wherever the shape input does.
  Shape wanted = node.type().shape;
  if (!wanted.is_known()) {
    const auto extents = integers_of(node, 1, values);
    if (!extents) return std::nullopt;
    wanted = resolve_reshape(shape, *extents);
  } else if (wanted.count() != shape.count()) {
    throw ShapeError(fmt::format("cannot reshape {} ({} elements) to {} ({} elements)", to_string(shape),
                                 shape.count(), to_string(wanted), wanted.count()));
  }
  const auto new_strides = reshaped_strides(shape, strides, wanted);
  if (!new_strides) return std::nullopt;
  return ViewLayout{wanted, *new_strides, 0};
}

std::optional<ViewLayout> indexed(const Node& node, const Shape& shape, const Shape& strides,
                                  std::span<const Tensor> values) {
  std::vector<std::int64_t> integers;
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    const auto value = integers_of(node, i, values);
    if (!value) return std::nullopt;
    integers.push_back(value->front());
  }
  const IndexPattern pattern = decode_index(node.attributes().get<std::vector<std::int64_t>>("index"));
  ViewLayout view;
  const std::vector<AxisSelection> selection = select_index(pattern, shape, integers);
  for (std::size_t i = 0; i < selection.size(); ++i) {
    // An empty axis has no first element: the view then starts where the input does.
    if (selection[i].extent > 0) view.offset += selection[i].start * strides[i];
    if (selection[i].dropped) continue;
    view.shape.push_back(selection[i].extent);
    view.strides.push_back(strides[i] * selection[i].step);
  }
  if (view.shape.count() == 0) view.offset = 0;
  return view;
}

}  // namespace

std::optional<ViewLayout> view_layout(const Node& node, const Shape& shape, const Shape& strides,
                                      std::span<const Tensor> values) {
  const Op& op = node.op();
  if (&op == &dimshuffle_op()) return dimshuffled(node, shape, strides);
  if (&op == &reshape_op()) return reshaped(node, shape, strides, values);
  if (&op == &subtensor_op()) return indexed(node, shape, strides, values);
  if (&op == &specify_shape_op()) {
    require_specified_shape(node, shape);
    return ViewLayout{shape, strides, 0};
  }
  return std::nullopt;
}

Tensor apply_view(const Tensor& x, const ViewLayout& layout) {
  const auto first =
      static_cast<const std::byte*>(x.raw_data()) - static_cast<const std::byte*>(x.storage()->data());
  return Tensor(x.storage(), x.dtype(), layout.shape, layout.strides,
                first / static_cast<std::ptrdiff_t>(size_of(x.dtype())) + layout.offset);
}

}  // namespace croton
