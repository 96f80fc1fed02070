#include "croton/ops/pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/nnet_rows.h"

namespace croton {

namespace {

constexpr std::array<std::pair<const char*, PoolWindows::Mode>, 4> modes = {{
    {"max", PoolWindows::Mode::max},
    {"sum", PoolWindows::Mode::sum},
    {"average_inc_pad", PoolWindows::Mode::average_inc_pad},
    {"average_exc_pad", PoolWindows::Mode::average_exc_pad},
}};

Shape two_numbers(const Attributes& attributes, const char* name) {
  const auto& list = attributes.get<std::vector<std::int64_t>>(name);
  if (list.size() != 2) {
    throw ValueError(fmt::format("pool_2d: {} has {} entries; it needs rows and columns", name, list.size()));
  }
  return list;
}

// The output's shape: the last two axes pooled.
Shape pooled_shape(const PoolWindows& w, const Shape& x) {
  Shape result = x;
  for (std::size_t i = 0; i < 2; ++i) {
    std::int64_t& extent = result[x.size() - 2 + i];
    if (extent != unknown) extent = pooled_extent(extent, w.ws[i], w.stride[i], w.pad[i], w.ignore_border);
  }
  return result;
}

// Calls f(index of the window, rows, columns) for each window, in C order.
template <class F>
void for_each_window(const PoolWindows& w, const Shape& x, F&& f) {
  const std::size_t r = x.size() - 2, c = x.size() - 1;
  for_each_index(pooled_shape(w, x),
                 [&](const Shape& at) { f(at, w.range(0, at[r], x[r]), w.range(1, at[c], x[c])); });
}

// Calls f(index of the element) for each element of a window, in C order.
template <class F>
void for_each_in_window(const Shape& window, const PoolWindows::Range& rows,
                        const PoolWindows::Range& columns, F&& f) {
  Shape at = window;
  const std::size_t r = at.size() - 2, c = at.size() - 1;
  for (at[r] = rows.begin; at[r] < rows.end; ++at[r]) {
    for (at[c] = columns.begin; at[c] < columns.end; ++at[c]) f(at);
  }
}

// Where the first maximum of a window lies, NaN counting as the largest; nothing for an empty window.
template <class T>
std::optional<Shape> first_maximum(const StridedView<const T>& x, const Shape& window,
                                   const PoolWindows::Range& rows, const PoolWindows::Range& columns) {
  std::optional<Shape> best;
  Accumulator<T> largest{};
  for_each_in_window(window, rows, columns, [&](const Shape& at) {
    const Accumulator<T> value = x[at];
    if (best && !(value > largest) && !(value != value && largest == largest)) return;
    best = at;
    largest = value;
  });
  return best;
}

void require_pooled(const PoolWindows& w, const Tensor& x, const Tensor& other, const char* what) {
  if (other.shape() == pooled_shape(w, x.shape())) return;
  throw ShapeError(fmt::format("pooling {} gives {}; the {} has shape {}", to_string(x.shape()),
                               to_string(pooled_shape(w, x.shape())), what, to_string(other.shape())));
}

class PoolLike : public Op {
 public:
  using Op::Op;

  std::string label(const Node& node) const override {
    const Attributes& a = node.attributes();
    const auto tuple = [&](const char* name) {
      return to_string(Shape(a.get<std::vector<std::int64_t>>(name)));
    };
    return fmt::format("{}{{ws={}, stride={}, pad={}, mode='{}', ignore_border={}}}", title(), tuple("ws"),
                       tuple("stride"), tuple("pad"), a.get<std::string>("mode"),
                       a.get<bool>("ignore_border") ? "True" : "False");
  }

 protected:
  virtual const char* title() const = 0;

  // Checks the tensor that is pooled.
  void require_operand(std::span<const Variable> inputs, std::size_t count) const {
    if (inputs.size() != count) {
      throw TypeError(fmt::format("{} takes {} inputs, got {}", name(), count, inputs.size()));
    }
    for (const Variable& input : inputs) {
      if (input.rank() < 2 || !is_floating(input.dtype()) || input.dtype() != inputs[0].dtype() ||
          input.rank() != inputs[0].rank()) {
        throw TypeError(fmt::format("{} takes floating tensors of one dtype and rank, at least 2, got {}",
                                    name(), to_string(input.type())));
      }
    }
  }
  void require_compatible(const TensorType& expected, const Variable& got, const char* what) const {
    if (compatible(expected, got.type())) return;
    throw ShapeError(fmt::format("{}: the {} should have type {}, got {}", name(), what, to_string(expected),
                                 to_string(got.type())));
  }
};

class Pool final : public PoolLike {
 public:
  Pool() : PoolLike("pool_2d") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    require_operand(inputs, 1);
    return {{inputs[0].dtype(), pooled_shape(PoolWindows(attributes), inputs[0].type().shape)}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const PoolWindows w(node.attributes());
    const Tensor& x = inputs[0];
    Tensor result = Tensor::zeros(pooled_shape(w, x.shape()), x.dtype());
    visit_floating(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto from = x.elements<const T>();
      const auto to = result.elements<T>();
      for_each_window(w, x.shape(), [&](const Shape& window, const auto& rows, const auto& columns) {
        if (w.mode == PoolWindows::Mode::max) {
          if (const auto at = first_maximum<T>(from, window, rows, columns)) to[window] = from[*at];
          return;
        }
        double total = 0;
        for_each_in_window(window, rows, columns, [&](const Shape& at) { total += double(from[at]); });
        to[window] = T(static_cast<Accumulator<T>>(total / w.divisor(rows, columns)));
      });
    });
    return {result};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return {apply_op(pool_2d_grad_op(), {node.input(0), node.output(), gradients[0]}, node.attributes())};
  }

 protected:
  const char* title() const override { return "Pool"; }
};

class PoolGrad final : public PoolLike {
 public:
  PoolGrad() : PoolLike("pool_2d_grad") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    require_operand(inputs, 3);
    const TensorType& x = inputs[0].type();
    const TensorType pooled{x.dtype, pooled_shape(PoolWindows(attributes), x.shape)};
    require_compatible(pooled, inputs[1], "pooled tensor");
    require_compatible(pooled, inputs[2], "output gradient");
    return {x};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const PoolWindows w(node.attributes());
    const Tensor &x = inputs[0], &gy = inputs[2];
    require_pooled(w, x, gy, "output gradient");
    Tensor sums = Tensor::zeros(x.shape(), DType::float64);
    const auto to = sums.elements<double>();
    visit_floating(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto from = x.elements<const T>(), g = gy.elements<const T>();
      for_each_window(w, x.shape(), [&](const Shape& window, const auto& rows, const auto& columns) {
        if (w.mode == PoolWindows::Mode::max) {
          if (const auto at = first_maximum<T>(from, window, rows, columns)) to[*at] += double(g[window]);
          return;
        }
        const double share = double(g[window]) / w.divisor(rows, columns);
        for_each_in_window(window, rows, columns, [&](const Shape& at) { to[at] += share; });
      });
    });
    return {sums.astype(x.dtype())};
  }
  // Linear in the output gradient; constant, almost everywhere, in x.
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const bool max = node.attributes().get<std::string>("mode") == "max";
    const Variable g = max ? apply_op(pool_2d_grad_grad_op(), {node.input(0), node.input(1), gradients[0]},
                                      node.attributes())
                           : apply_op(pool_2d_op(), {gradients[0]}, node.attributes());
    return {InputGradient::disconnected(), InputGradient::disconnected(), g};
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 2; }

 protected:
  const char* title() const override { return "PoolGrad"; }
};

class PoolGradGrad final : public PoolLike {
 public:
  PoolGradGrad() : PoolLike("pool_2d_grad_grad") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    require_operand(inputs, 3);
    const TensorType& x = inputs[0].type();
    const TensorType pooled{x.dtype, pooled_shape(PoolWindows(attributes), x.shape)};
    require_compatible(pooled, inputs[1], "pooled tensor");
    require_compatible(x, inputs[2], "gradient");
    return {pooled};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const PoolWindows w(node.attributes());
    const Tensor &x = inputs[0], &g = inputs[2];
    if (!(g.shape() == x.shape())) {
      throw ShapeError(fmt::format("pool_2d_grad_grad: the gradient has shape {}, the pooled operand {}",
                                   to_string(g.shape()), to_string(x.shape())));
    }
    Tensor result = Tensor::zeros(pooled_shape(w, x.shape()), x.dtype());
    visit_floating(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto from = x.elements<const T>(), gs = g.elements<const T>();
      const auto to = result.elements<T>();
      for_each_window(w, x.shape(), [&](const Shape& window, const auto& rows, const auto& columns) {
        if (const auto at = first_maximum<T>(from, window, rows, columns)) to[window] = gs[*at];
      });
    });
    return {result};
  }
  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    return {InputGradient::disconnected(), InputGradient::disconnected(),
            apply_op(pool_2d_grad_op(), {node.input(0), node.input(1), gradients[0]}, node.attributes())};
  }
  bool connected(const Node&, std::size_t input, std::size_t) const override { return input == 2; }

 protected:
  const char* title() const override { return "PoolGradGrad"; }
};

Shape with_extents(Shape shape, const Shape& extents) {
  std::ranges::copy(extents, shape.end() - 2);
  return shape;
}

void require_places(const PoolWindows& w) {
  if (w.have_places()) return;
  throw ValueError(
      fmt::format("places are of maxima of windows of at most 256 elements, not of {}", to_string(w.ws)));
}

class MaxPoolPlaces final : public PoolLike {
 public:
  MaxPoolPlaces() : PoolLike("max_pool_places") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    require_operand(inputs, 1);
    const PoolWindows w(attributes);
    require_places(w);
    const Shape pooled = pooled_shape(w, inputs[0].type().shape);
    return {{inputs[0].dtype(), pooled}, {DType::uint8, pooled}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const PoolWindows w(node.attributes());
    const Tensor& x = inputs[0];
    const std::size_t r = x.shape().size() - 2, c = r + 1;
    Tensor result = Tensor::zeros(pooled_shape(w, x.shape()), x.dtype());
    Tensor places = Tensor::zeros(result.shape(), DType::uint8);
    const auto to_place = places.elements<std::uint8_t>();
    visit_floating(x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto from = x.elements<const T>();
      const auto to = result.elements<T>();
      for_each_window(w, x.shape(), [&](const Shape& window, const auto& rows, const auto& columns) {
        const auto at = first_maximum<T>(from, window, rows, columns);
        if (!at) return;
        to[window] = from[*at];
        const std::int64_t row = (*at)[r] - window[r] * w.stride[0] + w.pad[0];
        const std::int64_t column = (*at)[c] - window[c] * w.stride[1] + w.pad[1];
        to_place[window] = static_cast<std::uint8_t>(row * w.ws[1] + column);
      });
    });
    return {result, places};
  }

 protected:
  const char* title() const override { return "MaxPoolPlaces"; }
};

class MaxPoolPlacesGrad final : public PoolLike {
 public:
  MaxPoolPlacesGrad() : PoolLike("max_pool_places_grad") {}
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.size() != 2) throw TypeError(fmt::format("{} takes 2 inputs, got {}", name(), inputs.size()));
    const Variable &places = inputs[0], &gy = inputs[1];
    const PoolWindows w(attributes);
    require_places(w);
    if (gy.rank() < 2 || !is_floating(gy.dtype())) {
      throw TypeError(
          fmt::format("{}: the output gradient should be a floating tensor of rank 2 or more, "
                      "not {}",
                      name(), to_string(gy.type())));
    }
    require_compatible({DType::uint8, gy.type().shape}, places, "tensor of places");
    const TensorType x{gy.dtype(), with_extents(gy.type().shape, two_numbers(attributes, "extents"))};
    require_compatible({gy.dtype(), pooled_shape(w, x.shape)}, gy, "output gradient");
    return {x};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const PoolWindows w(node.attributes());
    return {spread_maxima(inputs[0], inputs[1], w.ws, w.stride, w.pad,
                          two_numbers(node.attributes(), "extents"))};
  }

 protected:
  const char* title() const override { return "MaxPoolPlacesGrad"; }
};

}  // namespace

Tensor spread_maxima(const Tensor& places, const Tensor& gy, const Shape& ws, const Shape& stride,
                     const Shape& pad, const Shape& extents) {
  if (!(places.shape() == gy.shape())) {
    throw ShapeError(fmt::format("the places of maxima have shape {}, their gradient {}",
                                 to_string(places.shape()), to_string(gy.shape())));
  }
  const std::size_t r = gy.shape().size() - 2, c = r + 1;
  Tensor sums = Tensor::zeros(with_extents(gy.shape(), extents), DType::float64);
  const auto place = places.elements<const std::uint8_t>();
  const auto to = sums.elements<double>();
  visit_floating(gy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto from = gy.elements<const T>();
    for_each_index(gy.shape(), [&](const Shape& window) {
      Shape at = window;
      at[r] = window[r] * stride[0] - pad[0] + place[window] / ws[1];
      at[c] = window[c] * stride[1] - pad[1] + place[window] % ws[1];
      const bool exists = at[r] >= 0 && at[r] < extents[0] && at[c] >= 0 && at[c] < extents[1];
      if (exists) to[at] += double(from[window]);
    });
  });
  return sums.astype(gy.dtype());
}

std::int64_t pooled_extent(std::int64_t extent, std::int64_t window, std::int64_t stride, std::int64_t pad,
                           bool ignore_border) {
  if (extent == 0) return 0;  // no window is made of padding alone
  if (ignore_border) {
    const std::int64_t room = extent + 2 * pad - window;
    return room < 0 ? 0 : room / stride + 1;
  }
  if (stride >= window) return (extent - 1) / stride + 1;
  return std::max<std::int64_t>(0, extent - 1 - window + stride) / stride + 1;
}

PoolWindows::PoolWindows(const Attributes& attributes)
    : ws(two_numbers(attributes, "ws")),
      stride(two_numbers(attributes, "stride")),
      pad(two_numbers(attributes, "pad")),
      ignore_border(attributes.get<bool>("ignore_border")) {
  const auto& name = attributes.get<std::string>("mode");
  const auto found = std::find_if(modes.begin(), modes.end(), [&](const auto& m) { return name == m.first; });
  if (found == modes.end()) {
    throw ValueError(
        fmt::format("pool_2d: mode '{}' is not one of max, sum, average_inc_pad, average_exc_pad", name));
  }
  mode = found->second;
  for (std::size_t i = 0; i < 2; ++i) {
    if (ws[i] < 1) throw ValueError(fmt::format("pool_2d: the window {} must be at least 1", to_string(ws)));
    if (stride[i] < 1)
      throw ValueError(fmt::format("pool_2d: the stride {} must be at least 1", to_string(stride)));
    if (pad[i] < 0 || pad[i] >= ws[i]) {
      throw ValueError(
          fmt::format("pool_2d: the padding {} must not be negative and be smaller than the window {}",
                      to_string(pad), to_string(ws)));
    }
    if (pad[i] > 0 && !ignore_border) {
      throw ValueError(fmt::format("pool_2d: a padding of {} needs ignore_border = true", to_string(pad)));
    }
  }
}

PoolWindows::Range PoolWindows::range(int axis, std::int64_t i, std::int64_t extent) const {
  const auto a = static_cast<std::size_t>(axis);
  const std::int64_t first = i * stride[a] - pad[a], last = std::min(first + ws[a], extent + pad[a]);
  const std::int64_t begin = std::max<std::int64_t>(first, 0);
  return {begin, std::max(begin, std::min(last, extent)), last - first};
}

bool PoolWindows::cover(std::int64_t rows, std::int64_t columns) const {
  return ws == stride && pad == Shape{0, 0} && rows % ws[0] == 0 && columns % ws[1] == 0;
}

double PoolWindows::divisor(const Range& rows, const Range& columns) const {
  switch (mode) {
    case Mode::average_inc_pad:
      return static_cast<double>(rows.padded) * static_cast<double>(columns.padded);
    case Mode::average_exc_pad:
      return static_cast<double>(rows.end - rows.begin) * static_cast<double>(columns.end - columns.begin);
    default:
      return 1;
  }
}

const Op& pool_2d_op() {
  static const Pool op;
  return op;
}
const Op& pool_2d_grad_op() {
  static const PoolGrad op;
  return op;
}
const Op& pool_2d_grad_grad_op() {
  static const PoolGradGrad op;
  return op;
}
const Op& max_pool_places_op() {
  static const MaxPoolPlaces op;
  return op;
}
const Op& max_pool_places_grad_op() {
  static const MaxPoolPlacesGrad op;
  return op;
}
[[maybe_unused]] const Op* const pool_registered_at_start[] = {&pool_2d_op(), &pool_2d_grad_op(),
                                                               &pool_2d_grad_grad_op(), &max_pool_places_op(),
                                                               &max_pool_places_grad_op()};

Variable pool_2d(const Operand& input, const std::vector<std::int64_t>& ws, const PoolOptions& options) {
  const LocationScope scope(input.where());
  const Variable x = promote_operands(std::span(&input, 1), true)[0];
  return apply_op(pool_2d_op(), {x},
                  {{"ws", ws},
                   {"stride", options.stride.empty() ? ws : options.stride},
                   {"pad", options.pad},
                   {"mode", options.mode},
                   {"ignore_border", options.ignore_border}});
}

}  // namespace croton
