#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/shape_ops.h"
#include "croton/ops/view_layout.h"

namespace croton {

namespace {

using Pattern = std::vector<std::int64_t>;

const Pattern& pattern_of(const Attributes& attributes) { return attributes.get<Pattern>("pattern"); }

std::string pattern_text(const Pattern& pattern) {
  std::string text;
  for (const std::int64_t axis : pattern) {
    if (!text.empty()) text += ',';
    text += axis < 0 ? std::string("x") : fmt::format("{}", axis);
  }
  return text;
}

class DimShuffle final : public Op {
 public:
  DimShuffle() : Op("dimshuffle") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 1) throw TypeError(fmt::format("dimshuffle takes 1 input, got {}", inputs.size()));
    const Pattern& pattern = pattern_of(attributes);
    const TensorType& x = inputs[0].type();
    std::vector<bool> kept(x.shape.size(), false);
    TensorType result{x.dtype, {}};
    for (const std::int64_t axis : pattern) {
      if (axis < -1 || axis >= x.rank()) {
        throw IndexError(
            fmt::format("dimshuffle: the pattern ({}) names axis {}, but the operand has rank {}",
                        pattern_text(pattern), axis, x.rank()));
      }
      if (axis >= 0 && kept[static_cast<std::size_t>(axis)]) {
        throw ValueError(
            fmt::format("dimshuffle: the pattern ({}) names axis {} twice", pattern_text(pattern), axis));
      }
      if (axis >= 0) kept[static_cast<std::size_t>(axis)] = true;
      result.shape.push_back(axis < 0 ? 1 : x.shape[static_cast<std::size_t>(axis)]);
    }
    for (std::size_t axis = 0; axis < kept.size(); ++axis) {
      if (kept[axis] || x.shape[axis] == 1) continue;
      throw ShapeError(
          fmt::format("dimshuffle: the pattern ({}) drops axis {} of {}; only an axis whose extent is "
                      "statically 1 can be dropped (specify_shape declares one, an integer index takes one "
                      "element)",
                      pattern_text(pattern), axis, to_string(x)));
    }
    return {result};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    return {apply_view(inputs[0], *view_layout(node, inputs[0].shape(), inputs[0].strides(), inputs)).copy()};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Pattern& pattern = pattern_of(node.attributes());
    Variable g = gradients[0];
    // The added axes are dropped on the way back, which needs their extents in the type.
    Shape known = Shape::filled(pattern.size(), unknown);
    bool all_known = true;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] >= 0) continue;
      known[i] = 1;
      all_known = all_known && g.type().shape[i] == 1;
    }
    if (!all_known) g = specify_shape(g, known);
    std::vector<int> inverse(node.input(0).type().shape.size(), -1);
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i] >= 0) inverse[static_cast<std::size_t>(pattern[i])] = static_cast<int>(i);
    }
    return {g.dimshuffle(inverse)};
  }

  std::vector<std::pair<int, int>> view_map(const Node&) const override { return {{0, 0}}; }

  std::string label(const Node& node) const override {
    return "InplaceDimShuffle{" + pattern_text(pattern_of(node.attributes())) + "}";
  }
};

std::vector<int> identity_pattern(int rank) {
  std::vector<int> pattern(static_cast<std::size_t>(rank));
  std::iota(pattern.begin(), pattern.end(), 0);
  return pattern;
}

}  // namespace

const Op& dimshuffle_op() {
  static const DimShuffle op;
  return op;
}
[[maybe_unused]] const Op& dimshuffle_registered_at_start = dimshuffle_op();

Variable Variable::dimshuffle(const std::vector<int>& pattern, std::source_location where) const {
  Pattern axes;
  for (const int axis : pattern) axes.push_back(axis == 'x' ? -1 : axis);
  return apply_op(dimshuffle_op(), {*this}, {{"pattern", std::move(axes)}}, where);
}

Variable Variable::T(std::source_location where) const {
  std::vector<int> axes = identity_pattern(rank());
  std::reverse(axes.begin(), axes.end());
  return dimshuffle(axes, where);
}

int normalize_axis(int axis, const Variable& x, const char* what, int added) {
  const int rank = x.rank() + added;
  if (axis < -rank || axis >= rank) {
    throw IndexError(fmt::format("{}: axis {} is outside {}{}", what, axis, describe(x),
                                 added == 0 ? "" : " with the new axis"));
  }
  return axis < 0 ? axis + rank : axis;
}

Variable squeeze(const Operand& operand, const Axes& axes) {
  const LocationScope scope(operand.where());
  const Variable& x = operand.variable();
  std::vector<bool> dropped(x.type().shape.size(), false);
  for (int i = 0; i < x.rank(); ++i)
    dropped[static_cast<std::size_t>(i)] = axes.all() && x.type().broadcastable(i);
  for (const int axis : axes.list()) {
    dropped[static_cast<std::size_t>(normalize_axis(axis, x, "squeeze"))] = true;
  }
  std::vector<int> pattern;
  for (int i = 0; i < x.rank(); ++i) {
    if (!dropped[static_cast<std::size_t>(i)]) pattern.push_back(i);
  }
  return x.dimshuffle(pattern);
}

Variable expand_dims(const Operand& x, int axis) {
  const LocationScope scope(x.where());
  const int rank = x.variable().rank();
  std::vector<int> pattern = identity_pattern(rank);
  pattern.insert(pattern.begin() + normalize_axis(axis, x.variable(), "expand_dims", 1), 'x');
  return x.variable().dimshuffle(pattern);
}

Variable shape_padleft(const Operand& x, int n) {
  const LocationScope scope(x.where());
  std::vector<int> pattern = identity_pattern(x.variable().rank());
  pattern.insert(pattern.begin(), static_cast<std::size_t>(std::max(n, 0)), 'x');
  return x.variable().dimshuffle(pattern);
}

Variable shape_padright(const Operand& x, int n) {
  const LocationScope scope(x.where());
  std::vector<int> pattern = identity_pattern(x.variable().rank());
  pattern.insert(pattern.end(), static_cast<std::size_t>(std::max(n, 0)), 'x');
  return x.variable().dimshuffle(pattern);
}

Variable transpose(const Operand& x, const std::vector<int>& axes) {
  const LocationScope scope(x.where());
  const int rank = x.variable().rank();
  if (axes.empty()) return x.variable().T();
  if (static_cast<int>(axes.size()) != rank) {
    throw ValueError(fmt::format("transpose: {} axes given for {}", axes.size(), describe(x.variable())));
  }
  std::vector<int> pattern;
  for (const int axis : axes) pattern.push_back(normalize_axis(axis, x.variable(), "transpose"));
  return x.variable().dimshuffle(pattern);
}

Variable swapaxes(const Operand& x, int a, int b) {
  const LocationScope scope(x.where());
  const int rank = x.variable().rank();
  std::vector<int> pattern = identity_pattern(rank);
  std::swap(pattern[static_cast<std::size_t>(normalize_axis(a, x.variable(), "swapaxes"))],
            pattern[static_cast<std::size_t>(normalize_axis(b, x.variable(), "swapaxes"))]);
  return x.variable().dimshuffle(pattern);
}

}  // namespace croton
