#include "croton/ops/blas.h"

#include <fmt/format.h>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/graph/text.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/matrix_product.h"

namespace croton {

namespace {

void require_count(const Op& op, std::span<const Variable> inputs, std::size_t count) {
  if (inputs.size() != count) {
    throw TypeError(fmt::format("{} takes {} operands, got {}", op.name(), count, inputs.size()));
  }
}

void require_one_dtype(const Op& op, std::span<const Variable> inputs, bool floating) {
  for (const Variable& input : inputs) {
    if (input.dtype() != inputs[0].dtype()) {
      throw TypeError(fmt::format("{} takes operands of one dtype, got {} and {}", op.name(),
                                  name_of(inputs[0].dtype()), name_of(input.dtype())));
    }
  }
  if (floating && !is_floating(inputs[0].dtype())) {
    throw TypeError(fmt::format("{} takes floating operands, got {}", op.name(), name_of(inputs[0].dtype())));
  }
}

void require_rank(const Op& op, const Variable& input, std::string_view role, int rank) {
  if (input.rank() != rank) {
    throw TypeError(
        fmt::format("{} takes {} of rank {}, got {}", op.name(), role, rank, to_string(input.type())));
  }
}

/// x's `x_axis` and y's `y_axis` have one extent, as far as is known.
void require_equal(const Op& op, std::string_view x, const Shape& x_shape, int x_axis, std::string_view y,
                   const Shape& y_shape, int y_axis) {
  const std::int64_t a = x_shape[static_cast<std::size_t>(x_axis)],
                     b = y_shape[static_cast<std::size_t>(y_axis)];
  if (a == b || a == unknown || b == unknown) return;
  throw ShapeError(fmt::format("{}: shapes {} and {} do not fit: {}.shape[{}] = {}, {}.shape[{}] = {}",
                               op.name(), to_string(x_shape), to_string(y_shape), x, x_axis, a, y, y_axis,
                               b));
}

constexpr std::string_view relu_activation = "relu";

void require_known_activation(const Op& op, const Attributes& attributes) {
  const AttributeValue* said = attributes.find("activation");
  if (said == nullptr || *said == AttributeValue(std::string(relu_activation))) return;
  throw TypeError(fmt::format("{}: there is no activation {}; it may be '{}'", op.name(), to_string(*said),
                              relu_activation));
}

/// The value of a product with its activation done to it.
Tensor activated(const Node& product, const Tensor& value) {
  if (!has_relu(product)) return value;
  const Tensor wide = value.astype(DType::float64);
  for (double& x : wide.elements<double>()) {
    if (x <= 0) x = 0;
  }
  return wide.astype(value.dtype());
}

/// "Gemm{inplace}" with the activation among what stands in braces.
std::string with_activation(const Node& product, std::string label) {
  if (!has_relu(product)) return label;
  if (!label.ends_with('}')) return fmt::format("{}{{{}}}", label, relu_activation);
  label.insert(label.size() - 1, fmt::format(", {}", relu_activation));
  return label;
}

class DotOp final : public Op {
 public:
  DotOp() : Op("dot") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    require_count(*this, inputs, 2);
    require_one_dtype(*this, inputs, false);
    for (const Variable& input : inputs) {
      if (input.rank() < 1 || input.rank() > 2) {
        throw TypeError(fmt::format("dot takes vectors and matrices, got {}", to_string(input.type())));
      }
    }
    return {{inputs[0].dtype(), shape(inputs[0].type().shape, inputs[1].type().shape)}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const Shape result = shape(inputs[0].shape(), inputs[1].shape());
    const Tensor &x = inputs[0], &y = inputs[1];
    const Tensor left = x.rank() == 1 ? x.reshape({1, x.size()}) : x;
    const Tensor right = y.rank() == 1 ? y.reshape({y.size(), 1}) : y;
    return {matrix_product(left, right, node.type().dtype).reshape(result)};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable> gradients) const override {
    const Variable &x = node.input(0), &y = node.input(1), &gz = gradients[0];
    if (!gz || !is_floating(node.type().dtype)) {
      return {InputGradient::disconnected(), InputGradient::disconnected()};
    }
    if (x.rank() == 1 && y.rank() == 1) return {gz * y, gz * x};
    if (x.rank() == 1) return {dot(y, gz), outer(x, gz)};
    if (y.rank() == 1) return {outer(gz, y), dot(gz, x)};
    return {dot(gz, y.T()), dot(x.T(), gz)};
  }
  bool connected(const Node& node, std::size_t, std::size_t) const override {
    return is_floating(node.type().dtype);
  }

 private:
  Shape shape(const Shape& x, const Shape& y) const {
    require_equal(*this, "x", x, x.rank() - 1, "y", y, 0);
    Shape result;
    if (x.rank() == 2) result.push_back(x[0]);
    if (y.rank() == 2) result.push_back(y[1]);
    return result;
  }
};

class Dot22Op final : public Op {
 public:
  explicit Dot22Op(std::string_view name, bool scaled) : Op(name), scaled_(scaled) {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    require_known_activation(*this, attributes);
    require_count(*this, inputs, scaled_ ? 3 : 2);
    require_one_dtype(*this, inputs, true);
    require_rank(*this, inputs[0], "x", 2);
    require_rank(*this, inputs[1], "y", 2);
    if (scaled_) require_rank(*this, inputs[2], "a", 0);
    const Shape &x = inputs[0].type().shape, &y = inputs[1].type().shape;
    require_equal(*this, "x", x, 1, "y", y, 0);
    return {{inputs[0].dtype(), {x[0], y[1]}}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    require_equal(*this, "x", inputs[0].shape(), 1, "y", inputs[1].shape(), 0);
    const Tensor product = matrix_product(inputs[0], inputs[1], DType::float64);
    const DType dtype = node.type().dtype;
    return {activated(node, scaled_ ? combine(0, Tensor(), inputs[2].item<double>(), product, dtype)
                                    : product.astype(dtype))};
  }
  std::string label(const Node& node) const override {
    return with_activation(node, scaled_ ? "Dot22Scalar" : "Dot22");
  }

 private:
  bool scaled_;
};

/// gemm, gemv and ger: b * z + a * product, in place over z or not. Operands by position.
class AccumulatingOp : public Op {
 public:
  using Op::Op;
  std::vector<std::pair<int, int>> inplace_candidates(const Node& node) const override {
    if (node.input(0).type().shape != node.type().shape) return {};
    return {{0, 0}};
  }
  std::string label(const Node& node) const override {
    std::string text = name();
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return with_activation(node, text + (destroy_map(node).empty() ? "{no_inplace}" : "{inplace}"));
  }
};

class GemmOp final : public AccumulatingOp {
 public:
  GemmOp() : AccumulatingOp("gemm") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    require_known_activation(*this, attributes);
    require_count(*this, inputs, 5);
    require_one_dtype(*this, inputs, true);
    require_rank(*this, inputs[0], "z", 2);
    require_rank(*this, inputs[1], "a", 0);
    require_rank(*this, inputs[2], "x", 2);
    require_rank(*this, inputs[3], "y", 2);
    require_rank(*this, inputs[4], "b", 0);
    const Shape &z = inputs[0].type().shape, &x = inputs[2].type().shape, &y = inputs[3].type().shape;
    check(z, x, y, inputs[0].type());
    Shape shape{x[0], y[1]};
    for (std::size_t axis = 0; axis < 2; ++axis) {
      if (shape[axis] == unknown && z[axis] != 1) shape[axis] = z[axis];
    }
    return {{inputs[0].dtype(), shape}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    check(inputs[0].shape(), inputs[2].shape(), inputs[3].shape(), node.input(0).type());
    const Tensor product = matrix_product(inputs[2], inputs[3], DType::float64);
    return {activated(node, combine(inputs[4].item<double>(), inputs[0].broadcast_to(product.shape()),
                                    inputs[1].item<double>(), product, node.type().dtype))};
  }

 private:
  void check(const Shape& z, const Shape& x, const Shape& y, const TensorType& z_type) const {
    require_equal(*this, "x", x, 1, "y", y, 0);
    if (!z_type.broadcastable(0)) require_equal(*this, "z", z, 0, "x", x, 0);
    if (!z_type.broadcastable(1)) require_equal(*this, "z", z, 1, "y", y, 1);
  }
};

class GemvOp final : public AccumulatingOp {
 public:
  GemvOp() : AccumulatingOp("gemv") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    require_count(*this, inputs, 5);
    require_one_dtype(*this, inputs, true);
    require_rank(*this, inputs[0], "y", 1);
    require_rank(*this, inputs[1], "a", 0);
    require_rank(*this, inputs[2], "A", 2);
    require_rank(*this, inputs[3], "x", 1);
    require_rank(*this, inputs[4], "b", 0);
    const Shape &y = inputs[0].type().shape, &matrix = inputs[2].type().shape;
    check(y, matrix, inputs[3].type().shape, inputs[0].type());
    return {{inputs[0].dtype(), {matrix[0] == unknown && y[0] != 1 ? y[0] : matrix[0]}}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const Tensor &y = inputs[0], &matrix = inputs[2], &x = inputs[3];
    check(y.shape(), matrix.shape(), x.shape(), node.input(0).type());
    const Shape shape{matrix.shape()[0]};
    const Tensor product = matrix_product(matrix, x.reshape({x.size(), 1}), DType::float64).reshape(shape);
    return {combine(inputs[4].item<double>(), y.broadcast_to(shape), inputs[1].item<double>(), product,
                    node.type().dtype)};
  }

 private:
  void check(const Shape& y, const Shape& matrix, const Shape& x, const TensorType& y_type) const {
    require_equal(*this, "A", matrix, 1, "x", x, 0);
    if (!y_type.broadcastable(0)) require_equal(*this, "y", y, 0, "A", matrix, 0);
  }
};

class GerOp final : public AccumulatingOp {
 public:
  GerOp() : AccumulatingOp("ger") {}

  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    require_count(*this, inputs, 4);
    require_one_dtype(*this, inputs, true);
    require_rank(*this, inputs[0], "A", 2);
    require_rank(*this, inputs[1], "a", 0);
    require_rank(*this, inputs[2], "x", 1);
    require_rank(*this, inputs[3], "y", 1);
    const Shape &matrix = inputs[0].type().shape, &x = inputs[2].type().shape, &y = inputs[3].type().shape;
    check(matrix, x, y, inputs[0].type());
    Shape shape{x[0], y[0]};
    for (std::size_t axis = 0; axis < 2; ++axis) {
      if (shape[axis] == unknown && matrix[axis] != 1) shape[axis] = matrix[axis];
    }
    return {{inputs[0].dtype(), shape}};
  }
  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    const Tensor &matrix = inputs[0], &x = inputs[2], &y = inputs[3];
    check(matrix.shape(), x.shape(), y.shape(), node.input(0).type());
    const Tensor product = matrix_product(x.reshape({x.size(), 1}), y.reshape({1, y.size()}), DType::float64);
    return {combine(1, matrix.broadcast_to(product.shape()), inputs[1].item<double>(), product,
                    node.type().dtype)};
  }

 private:
  void check(const Shape& matrix, const Shape& x, const Shape& y, const TensorType& type) const {
    if (!type.broadcastable(0)) require_equal(*this, "A", matrix, 0, "x", x, 0);
    if (!type.broadcastable(1)) require_equal(*this, "A", matrix, 1, "y", y, 0);
  }
};

}  // namespace

const Op& dot_op() {
  static const Op* const op = new DotOp;
  return *op;
}
const Op& dot22_op() {
  static const Op* const op = new Dot22Op("dot22", false);
  return *op;
}
const Op& dot22_scalar_op() {
  static const Op* const op = new Dot22Op("dot22_scalar", true);
  return *op;
}
const Op& gemm_op() {
  static const Op* const op = new GemmOp;
  return *op;
}
const Op& gemv_op() {
  static const Op* const op = new GemvOp;
  return *op;
}
const Op& ger_op() {
  static const Op* const op = new GerOp;
  return *op;
}

bool has_relu(const Node& product) { return product.attributes().contains("activation"); }

namespace {
[[maybe_unused]] const Op* const blas_registered_at_start[] = {&dot_op(),  &dot22_op(), &dot22_scalar_op(),
                                                               &gemm_op(), &gemv_op(),  &ger_op()};
}

}  // namespace croton
